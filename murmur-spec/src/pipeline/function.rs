use proc_macro2::Ident;
use syn::{Attribute, FnArg, GenericArgument, GenericParam, PathArguments, ReturnType, Signature, Type, Visibility};

use super::key::key;
use super::{Arguments, Function, Pipeline, Source, tuple};
use crate::attr::{docs, text};
use crate::codes;
use crate::ctxt::{At, Ctxt};
use crate::model::{Returns, Window};
use crate::names;
use crate::types::{self, show};

/// The pipeline that a function is.
pub(super) fn read(
    given: Arguments,
    attributes: Vec<Attribute>,
    vis: Visibility,
    signature: &Signature,
    ctxt: &Ctxt,
) -> Option<Pipeline> {
    let ident = signature.ident.clone();
    let event = argument(signature, ctxt);
    let output = output(&signature.output, &ident, ctxt);
    let keeps = output.as_ref().and_then(|output| tuple::keeps(output.ty, &given.fields, ctxt));
    let (key, rollup) = key(&given, None, &ident, ctxt)?;
    let name = match (given.name.is_given(), given.name.get()) {
        (true, name) => name.cloned(),
        (false, _) if names::is_snake(&text(&ident)) => Some(text(&ident)),
        (false, _) => {
            let message = format!("`{ident}` is not in snake_case; rename it, or give `name = \"...\"`");
            ctxt.say(codes::PIPELINE_NAME, &ident, message);
            None
        }
    };
    let Output { returns, ty: output, key_types } = output?;
    if let Some(types) = key_types.as_ref().filter(|types| types.len() != key.len()) {
        let names = key.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the key has {} here, and {} in `key`: {names}", parts(types.len()), parts(key.len()));
        let ReturnType::Type(_, ty) = &signature.output else { return None };
        ctxt.say(codes::FAN_OUT_KEY, ty, message);
    }
    let (event, keeps, name) = (event?, keeps?, name?);
    let ours = Function { event, returns, output: output.clone(), keeps, key_types: key_types.unwrap_or_default() };
    Some(Pipeline {
        name_at: given.name.at().unwrap_or_else(|| At::of(&ident)),
        ident,
        vis,
        name,
        docs: docs(&attributes),
        key,
        rollup,
        window: given.window.get().copied().unwrap_or(Window::AllTime),
        window_at: given.window.at(),
        dedup: given.dedup.take().map(Box::new),
        unbounded: given.unbounded.is_given(),
        package: given.package,
        source: Source::Function(Box::new(ours)),
        krate: given.krate,
    })
}

fn parts(count: usize) -> String {
    if count == 1 { "1 part".into() } else { format!("{count} parts") }
}

/// The event's type: the one argument, by reference.
fn argument(signature: &Signature, ctxt: &Ctxt) -> Option<Type> {
    let name = &signature.ident;
    let form = format!("write `fn {name}(event: &PageView) -> Traffic`");
    let refuse = |tokens: &dyn quote::ToTokens, what: &str| {
        ctxt.say(codes::SIGNATURE, &quote::quote!(#tokens), format!("{what}; {form}"));
    };
    let mut plain = true;
    for (token, what) in [
        (signature.constness.as_ref().map(|t| t as &dyn quote::ToTokens), "a pipeline is not `const`"),
        (
            signature.asyncness.as_ref().map(|t| t as _),
            "a pipeline is not `async`: the same event always gives the same aggregate",
        ),
        (signature.abi.as_ref().map(|t| t as _), "a pipeline is not `extern`"),
        (signature.variadic.as_ref().map(|t| t as _), "a pipeline has one argument"),
    ] {
        if let Some(token) = token {
            refuse(token, what);
            plain = false;
        }
    }
    if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        refuse(&signature.safety, "a pipeline is not `unsafe`");
        plain = false;
    }
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            ctxt.say(
                codes::GENERIC,
                parameter,
                format!("a pipeline cannot have the parameter `{}`; name the type", show(parameter)),
            );
            plain = false;
        }
    }
    let mut inputs = signature.inputs.iter();
    let (first, second) = (inputs.next(), inputs.next());
    let event = match (first, second) {
        (Some(FnArg::Typed(argument)), None) => match types::bare(&argument.ty) {
            Type::Reference(reference)
                if reference.mutability.is_none() && types::last_segment(&reference.elem).is_some() =>
            {
                Some(types::bare(&reference.elem).clone())
            }
            other => {
                refuse(other, "a pipeline takes its event by reference");
                None
            }
        },
        (None, _) => {
            refuse(&signature.ident, "a pipeline takes an event");
            None
        }
        (Some(receiver @ FnArg::Receiver(_)), _) => {
            refuse(receiver, "a pipeline is a function, not a method");
            None
        }
        (Some(_), Some(_)) => {
            refuse(&signature.inputs, "a pipeline has one argument");
            None
        }
    };
    event.filter(|_| plain)
}

/// What a function returns.
struct Output<'a> {
    /// How often the aggregate comes.
    returns: Returns,
    /// Its type, or that of a tuple of several.
    ty: &'a Type,
    /// The types of the key's fields, of a fan-out.
    key_types: Option<Vec<Type>>,
}

fn output<'a>(output: &'a ReturnType, ident: &Ident, ctxt: &Ctxt) -> Option<Output<'a>> {
    let refuse = |tokens: &dyn quote::ToTokens, what: String| {
        let way = "return an aggregate, `Option` of one, or `impl Iterator<Item = (Key, Aggregate)>`";
        ctxt.say(codes::RETURNS, &quote::quote!(#tokens), format!("{what}; {way}"));
        None
    };
    let ty = match output {
        ReturnType::Default => return refuse(ident, format!("`{ident}` returns nothing")),
        ReturnType::Type(_, ty) => types::bare(ty),
    };
    if let Some(item) = iterator_item(ty) {
        let Type::Tuple(pair) = types::bare(item) else {
            return refuse(item, format!("`{}` has no key", show(item)));
        };
        let (Some(key), Some(aggregate), 2) = (pair.elems.first(), pair.elems.last(), pair.elems.len()) else {
            return refuse(item, format!("`{}` is not a key and an aggregate", show(item)));
        };
        let key_types = match types::bare(key) {
            Type::Tuple(tuple) => tuple.elems.iter().cloned().collect(),
            single => vec![single.clone()],
        };
        return Some(Output { returns: Returns::Many, ty: aggregate, key_types: Some(key_types) });
    }
    let (returns, ty) = match (types::last_segment(ty).map(|s| (text(&s.ident), types::arguments(s))), ty) {
        (Some((name, arguments)), _) if name == "Option" && arguments.len() == 1 => (Returns::Optional, arguments[0]),
        (Some(_), _) => (Returns::One, ty),
        (None, Type::Tuple(tuple)) if !tuple.elems.is_empty() => (Returns::One, ty),
        _ => return refuse(ty, format!("`{}` is not an aggregate", show(ty))),
    };
    Some(Output { returns, ty, key_types: None })
}

/// The items of `Vec<T>`, `[T; N]` or `impl Iterator<Item = T>` (or `IntoIterator`).
fn iterator_item(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Array(array) => Some(&array.elem),
        Type::ImplTrait(bounds) => bounds.bounds.iter().find_map(|bound| {
            let syn::TypeParamBound::Trait(bound) = bound else { return None };
            let segment = bound.path.segments.last()?;
            let iterates = segment.ident == "Iterator" || segment.ident == "IntoIterator";
            let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
            arguments.args.iter().filter(|_| iterates).find_map(|argument| match argument {
                GenericArgument::AssocType(item) if item.ident == "Item" => Some(&item.ty),
                _ => None,
            })
        }),
        _ => {
            let segment = types::last_segment(ty)?;
            let arguments = types::arguments(segment);
            (segment.ident == "Vec" && arguments.len() == 1).then(|| arguments[0])
        }
    }
}
