//! `dedup = event_id`: which events are the same one, sent twice.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Ident, LitInt, Token, parenthesized};

use crate::attr::Entry;
use crate::codes;
use crate::ctxt::Ctxt;
use crate::pipeline::fields;

/// How far back identities are known when nothing is said, in events of a partition.
const WITHIN: u64 = 100_000;
/// Above that a partition's identities alone take more than half a gigabyte.
const MOST: u64 = 10_000_000;

const FORM: &str = "`dedup = event_id`, `dedup = (shop_id, order_id)` or `dedup = within(1_000_000, event_id)`";

/// What identifies an event, and how far back.
#[derive(Clone)]
pub struct Dedup {
    /// The fields of its identity.
    pub identity: Vec<Ident>,
    /// How many events of a partition back.
    pub within: u64,
}

/// The fields, and the number before them.
struct Given {
    within: Option<LitInt>,
    identity: Vec<Ident>,
}

/// Read the value of the entry.
pub(crate) fn parse(entry: &Entry, ctxt: &Ctxt) -> Option<Dedup> {
    let Given { within, identity } = entry.parse(FORM, given, ctxt)?;
    if identity.is_empty() {
        let message = format!("nothing identifies an event; write {FORM}");
        ctxt.push(crate::ctxt::Finding::new(codes::DEDUP, entry.at(), message));
        return None;
    }
    if let Some(name) = identity.iter().enumerate().find_map(|(at, name)| identity[..at].contains(name).then_some(name))
    {
        ctxt.say(codes::DUPLICATE_FIELD, name, format!("`{name}` is in the identity already"));
        return None;
    }
    let Some(literal) = within else { return Some(Dedup { identity, within: WITHIN }) };
    let within = literal.base10_parse().ok().filter(|within| (1..=MOST).contains(within));
    if within.is_none() {
        let message = format!("identities are known for 1 to {MOST} events of a partition, not for {literal}");
        ctxt.say(codes::DEDUP, &literal, message);
    }
    Some(Dedup { identity, within: within? })
}

fn given(input: ParseStream) -> syn::Result<Given> {
    let fork = input.fork();
    if fork.call(Ident::parse_any).is_ok_and(|name| name == "within") && fork.peek(syn::token::Paren) {
        input.call(Ident::parse_any)?;
        let inside;
        parenthesized!(inside in input);
        let within = Some(inside.parse()?);
        inside.parse::<Token![,]>()?;
        let identity = fields(&inside)?;
        inside.parse::<Option<Token![,]>>()?;
        if !inside.is_empty() {
            return Err(inside.error("nothing more"));
        }
        return Ok(Given { within, identity });
    }
    Ok(Given { within: None, identity: fields(input)? })
}
