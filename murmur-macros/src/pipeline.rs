//! `#[murmur::pipeline]`.

use murmur_spec::attr::{CratePath, text};
use murmur_spec::dedup::Dedup;
use murmur_spec::model::{Monoid, Returns, Window};
use murmur_spec::names;
use murmur_spec::pipeline::{Function, Keeps, Pipeline, Source};
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::build::Build;
use crate::hygiene::{docs, field_hash, local, number, public};
use crate::{checks, event, totals};

/// The user's item, the marker type, the key, the pipeline itself; for a struct the event and its totals too.
pub(crate) fn expand(pipeline: &Pipeline, users: TokenStream, fingerprint: u64, build: &Build) -> TokenStream {
    let krate = &pipeline.krate;
    let package = build.package(pipeline.package.get().map(String::as_str));
    let at =
        if let Source::Function(function) = &pipeline.source { function.output.span() } else { pipeline.ident.span() };
    let totals = public(&names::totals(&pipeline.name), at);
    let made = totals::expand(pipeline, &totals, &package, build);
    let (users, before, event) = match &pipeline.source {
        Source::Function(function) => (users, checks(pipeline, function, &package), function.event.clone()),
        Source::Struct(event) => {
            let ident = &event.ident;
            let (users, traits) = event::expand(event, users, krate);
            (users, traits, syn::parse_quote!(#ident))
        }
    };
    let aggregate: Type = match &pipeline.source {
        Source::Function(function) if !pipeline.has_totals() => function.output.clone(),
        _ => syn::parse_quote!(#totals),
    };
    let numbered: Vec<_> = pipeline.key.iter().map(|name| (text(name), None)).collect();
    let key_message = names::key(&pipeline.name);
    let numbers: Vec<u32> =
        build.numbers(&key_message, &numbered).fields.into_iter().map(|(_, number)| number).collect();
    let marker = public(&names::marker(&pipeline.name), pipeline.ident.span());
    let key = public(&key_message, pipeline.ident.span());
    let key_struct = key_struct(pipeline, &event, &key, &numbers, &package);
    let apply = apply(pipeline, &event, &numbers);
    let dedup = pipeline.dedup.as_ref().map(|dedup| self::dedup(dedup, &event, krate));
    let (name, service) = (&pipeline.name, names::service(&pipeline.name));
    let contract = build.contract(&service).map(|contract| {
        quote! {
            const CONTRACT: ::core::option::Option<&'static ::core::primitive::str> =
                ::core::option::Option::Some(#contract);
        }
    });
    let value = value(pipeline, &package);
    let unbounded = pipeline.unbounded.then(|| {
        quote!(
            const UNBOUNDED: ::core::primitive::bool = true;
        )
    });
    let about = about(&pipeline.docs);
    let window = window(&pipeline.window, krate);
    let vis = &pipeline.vis;
    let docs = docs(&pipeline.docs, &format!("The pipeline of `{}`.", text(&pipeline.ident)));
    let (event_name, out) = (local("event"), local("out"));
    // Where an item could be larger than a store takes, this is no constant.
    let fits = quote_spanned!(aggregate.span()=> const _: () = #krate::size::fits::<#marker>(););
    quote! {
        #users
        #docs
        #[allow(dead_code, reason = "a marker is named, not made")]
        #[derive(Clone, Copy, Debug)]
        #vis struct #marker;
        #key_struct
        impl #krate::pipeline::Pipeline for #marker {
            type Event = #event;
            type Key = #key;
            type Aggregate = #aggregate;
            const SPEC: #krate::pipeline::Spec = #krate::pipeline::Spec {
                name: #name,
                package: #package,
                service: #service,
                about: #about,
                window: #window,
                fingerprint: #fingerprint,
            };
            #contract
            #value
            #dedup
            #unbounded

            fn apply(#event_name: &Self::Event, #out: &mut #krate::pipeline::Emissions<Self::Aggregate>) {
                #apply
            }
        }
        #fits
        #before
        #made
    }
}

/// The message of the values that are a map, which the Rust type does not know.
fn value(pipeline: &Pipeline, package: &str) -> Option<TokenStream> {
    let Source::Function(function) = &pipeline.source else { return None };
    let Keeps::One(Monoid::Map(key, of, _)) = &function.keeps else { return None };
    let name = format!("{package}.{}", names::map(*key, of));
    Some(quote! {
        const VALUE: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::Some(#name);
    })
}

/// The first paragraph.
fn about(docs: &[String]) -> String {
    let lines = docs.iter().skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    lines.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn window(window: &Window, krate: &CratePath) -> TokenStream {
    let span = |micros: u64| quote!(#krate::time::Span::from_micros(#micros));
    match *window {
        Window::AllTime => quote!(#krate::time::Window::AllTime),
        Window::Tumbling { size, keep } => {
            let (size, keep) = (span(size), span(keep));
            quote!(#krate::time::Window::Tumbling { size: #size, keep: #keep })
        }
        Window::Sliding { span: whole, slot } => {
            let (whole, slot) = (span(whole), span(slot));
            quote!(#krate::time::Window::Sliding { span: #whole, slot: #slot })
        }
    }
}

/// What the compiler checks of a signature: that the aggregates are what they were read as, and that the event has a time.
fn checks(pipeline: &Pipeline, function: &Function, package: &str) -> TokenStream {
    let (krate, event) = (&pipeline.krate, &function.event);
    let aggregates: Vec<(&Type, &Monoid)> = match &function.keeps {
        // A struct, which says itself what it answers.
        Keeps::One(Monoid::Custom { .. }) => Vec::new(),
        Keeps::One(monoid) => vec![(&function.output, monoid)],
        Keeps::Tuple(members) => members.iter().map(|member| (&member.ty, &member.monoid)).collect(),
    };
    let same: Vec<_> = aggregates.iter().filter_map(|(ty, read)| checks::same(ty, read, krate)).collect();
    let answers = aggregates.iter().filter_map(|(ty, read)| checks::answer(ty, read, krate, package));
    let timed = pipeline.window_at.map(|at| quote_spanned!(at.start()=> #krate::codegen::timed::<#event>();));
    let asked = (!same.is_empty() || timed.is_some()).then(|| quote!(const _: fn() = || { #(#same)* #timed };));
    quote!(#asked #(#answers)*)
}

/// The type of a key's field.
fn key_type(pipeline: &Pipeline, event: &Type, place: usize) -> TokenStream {
    let (krate, name) = (&pipeline.krate, &pipeline.key[place]);
    if let Source::Function(function) = &pipeline.source
        && let Some(ty) = function.key_types.get(place)
    {
        return quote!(#ty);
    }
    let hash = field_hash(&text(name));
    quote_spanned!(name.span()=> <#event as #krate::event::Field<#hash>>::Type)
}

fn key_struct(pipeline: &Pipeline, event: &Type, key: &Ident, numbers: &[u32], package: &str) -> TokenStream {
    let (krate, vis) = (&pipeline.krate, &pipeline.vis);
    let proto = format!("{package}.{key}");
    let rollup = &pipeline.rollup;
    let fields = pipeline.key.iter().enumerate().map(|(place, name)| {
        let (ty, n) = (key_type(pipeline, event, place), number(numbers[place]));
        let doc = field_docs(pipeline, name);
        let always = rollup.iter().all(|grain| grain.contains(&place));
        let ty = if always { ty } else { quote!(::core::option::Option<#ty>) };
        quote!(#doc #name: #ty = #n,)
    });
    let grains = rollup.iter().map(|grain| {
        let (text, names) = (grain_text(grain, numbers), grain.iter().map(|place| &pipeline.key[*place]));
        quote!(#text [#(#names),*])
    });
    let rollup = (!rollup.is_empty()).then(|| quote!(rollup #(#grains),*;));
    let doc = format!(" What the pipeline `{}` counts by.", pipeline.name);
    quote! {
        #krate::key! {
            #[doc = #doc]
            #vis struct #key: #proto { #(#fields)* }
            #rollup
        }
    }
}

/// The docs of a key's field: the event's, when they are here.
fn field_docs(pipeline: &Pipeline, name: &Ident) -> TokenStream {
    let known = match &pipeline.source {
        Source::Struct(event) => event.fields.iter().find(|field| field.ident == *name),
        Source::Function(_) => None,
    };
    docs(known.map_or(&[], |field| &field.docs), &format!("The field `{}`.", text(name)))
}

/// How a rollup is named in the stored key: the numbers of its fields.
fn grain_text(grain: &[usize], numbers: &[u32]) -> String {
    grain.iter().map(|place| numbers[*place].to_string()).collect::<Vec<_>>().join(".")
}

/// What identifies an event.
fn dedup(dedup: &Dedup, event: &Type, krate: &CratePath) -> TokenStream {
    let (from, identity, within) = (local("event"), local("identity"), dedup.within);
    let parts = dedup.identity.iter().map(|name| {
        let hash = field_hash(&text(name));
        quote_spanned!(name.span()=> .part(<#event as #krate::event::Field<#hash>>::get(#from)))
    });
    quote! {
        const DEDUP: ::core::option::Option<#krate::pipeline::Dedup<Self::Event>> =
            ::core::option::Option::Some(#krate::pipeline::Dedup {
                within: #within,
                identify: |#from, #identity| {
                    #identity #(#parts)*;
                },
            });
    }
}

/// The body of `Pipeline::apply`.
fn apply(pipeline: &Pipeline, event: &Type, numbers: &[u32]) -> TokenStream {
    let (from, value) = (local("event"), local("value"));
    let function = match &pipeline.source {
        Source::Function(function) => function,
        Source::Struct(event_of) => {
            let emit = emit(pipeline, numbers, |place| field_of_event(pipeline, event, place));
            let totals = totals::of_event(pipeline, event_of, &from);
            return quote!(let #value = #totals; #emit);
        }
    };
    let ident = &pipeline.ident;
    match function.returns {
        Returns::One => {
            let emit = emit(pipeline, numbers, |place| field_of_event(pipeline, event, place));
            quote!(let #value = #ident(#from); #emit)
        }
        Returns::Optional => {
            let emit = emit(pipeline, numbers, |place| field_of_event(pipeline, event, place));
            quote!(if let ::core::option::Option::Some(#value) = #ident(#from) { #emit })
        }
        Returns::Many => {
            let parts: Vec<Ident> = (0..pipeline.key.len()).map(|place| local(&format!("key_{place}"))).collect();
            let emit = emit(pipeline, numbers, |place| {
                let part = &parts[place];
                quote!(&#part)
            });
            let pattern = if let [only] = parts.as_slice() { quote!(#only) } else { quote!((#(#parts),*)) };
            quote!(for (#pattern, #value) in #ident(#from) { #emit })
        }
    }
}

fn field_of_event(pipeline: &Pipeline, event: &Type, place: usize) -> TokenStream {
    let (krate, name, from) = (&pipeline.krate, &pipeline.key[place], local("event"));
    let hash = field_hash(&text(name));
    quote_spanned!(name.span()=> <#event as #krate::event::Field<#hash>>::get(#from))
}

/// Emit `value` under every rollup; only the last one may take it.
fn emit(pipeline: &Pipeline, numbers: &[u32], field: impl Fn(usize) -> TokenStream) -> TokenStream {
    let (value, out) = (local("value"), local("out"));
    let whole = [(0..pipeline.key.len()).collect::<Vec<_>>()];
    let (grains, named) = match pipeline.rollup.as_slice() {
        [] => (whole.as_slice(), false),
        rollup => (rollup, true),
    };
    let last = grains.len() - 1;
    let members_named = (!pipeline.members().is_empty())
        .then(|| quote!(let #value = <Self::Aggregate as ::core::convert::From<_>>::from(#value);));
    let emits = grains.iter().enumerate().map(|(at, grain)| {
        let text = if named { grain_text(grain, numbers) } else { String::new() };
        let fields = grain.iter().map(|place| field(*place));
        let value = if at == last { quote!(#value) } else { quote!(::core::clone::Clone::clone(&#value)) };
        quote!(#out.begin(#text)#(.field(#fields))*.emit(#value);)
    });
    quote!(#members_named #(#emits)*)
}
