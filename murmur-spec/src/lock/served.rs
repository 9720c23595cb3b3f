//! Which clients a service still answers: those that know nothing of it but what is there unchanged.
//!
//! A client is made from a contract, which has a fingerprint. It is a hash of facts, a text each: number, name in JSON and
//! type of every field that a value has in it, what an aggregate's field is kept as, the values of enums, the methods, and the
//! whole of the key: who does not know all of its fields asks for another one. A later contract that has all of these facts, and more, answers such a client rightly. One that lacks any does
//! not: what was removed would read as zero, what changed as something else.
//!
//! ```text
//! contract   facts       the lock's lines `serves`
//! first      a b         fingerprint of (a b)
//! second     a b c       fingerprint of (a b), fingerprint of (a b c)
//! third      a c         fingerprint of (a c)
//! ```
//!
//! Events and tables are no part of it: no client sees them.

use std::collections::BTreeSet;

use super::{Lock, Service};
use crate::diff::rules;
use crate::fingerprint;

/// The lines `serves` of a service of `new`, the present contract last.
pub(super) fn served(old: &Lock, new: &Lock, name: &str, service: &Service) -> Vec<String> {
    let facts = facts(new, name, service);
    let mut served = match old.services.get(name) {
        Some(before) if self::facts(old, name, before).is_subset(&facts) => before.serves.clone(),
        _ => Vec::new(),
    };
    let text: Vec<&str> = facts.iter().map(String::as_str).collect();
    let present = format!("{:016x}", fingerprint::hash(&text.join("\n")));
    served.retain(|fingerprint| *fingerprint != present);
    served.push(present);
    served
}

/// What a client can know of a service.
fn facts(lock: &Lock, name: &str, service: &Service) -> BTreeSet<String> {
    let mut out = BTreeSet::from([format!("{}.{name} {} {}", lock.package, service.key, service.value)]);
    out.extend(service.rpcs.iter().map(|(rpc, types)| format!("{name}.{rpc} {types}")));
    // One fact: a client that leaves a field of the key out asks for another key.
    let key: Vec<String> = fields(lock, &service.key).into_iter().collect();
    out.insert(key.join("; "));
    out.extend(fields(lock, rules::type_of(&service.value)));
    out
}

/// The fields and values of a type and of all that are in it, a text each.
fn fields(lock: &Lock, name: &str) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![name];
    while let Some(name) = open.pop() {
        if !seen.insert(name) {
            continue;
        }
        for (number, fact) in lock.messages.get(name).iter().flat_map(|message| message.fields()) {
            let kept = fact.kept.as_deref().unwrap_or_default();
            out.insert(format!("{name} {number} {} {} {kept}", fact.json_name(), fact.shape));
            open.push(rules::type_of(&fact.shape));
        }
        for (number, fact) in lock.enums.get(name).iter().flat_map(|values| values.fields()) {
            out.insert(format!("{name} {number} {}", fact.name));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::diff::Review;
    use crate::fixtures::{everything, field, kept, key, page_traffic};
    use crate::lock::Lock;
    use crate::model::{Kind, Monoid, Package, Shape, Variant};

    const SERVICE: &str = "PageTrafficService";

    fn sync(lock: &Lock, package: &Package) -> Lock {
        // As it is written and read again.
        Review::of(lock, package).lock.to_string().parse().unwrap()
    }

    fn served(lock: &Lock, service: &str) -> Vec<String> {
        lock.services[service].serves.clone()
    }

    #[test]
    fn a_contract_with_more_in_it_serves_the_clients_of_the_one_before() {
        let first = sync(&Lock::default(), &page_traffic());
        assert_eq!(served(&first, SERVICE).len(), 1);
        assert_eq!(served(&sync(&first, &page_traffic()), SERVICE), served(&first, SERVICE));
        let mut more = page_traffic();
        more.aggregates[0].fields.push(kept("longest", Monoid::Max(Kind::U64)));
        let second = sync(&first, &more);
        assert_eq!(served(&second, SERVICE)[..1], served(&first, SERVICE));
        assert_eq!(served(&second, SERVICE).len(), 2);
        // What was taken back is not there for those who have seen it.
        let third = sync(&second, &page_traffic());
        assert_eq!(served(&third, SERVICE), served(&first, SERVICE));
    }

    #[test]
    fn whoever_would_read_something_else_is_not_served() {
        let changes: [fn(&mut Package); 5] = [
            |p| p.pipelines[0].key.push(key("country", Kind::String)),
            |p| drop(p.aggregates[0].fields.remove(1)),
            |p| p.aggregates[0].fields[1].monoid = Monoid::Max(Kind::U64),
            |p| p.aggregates[0].fields[1].name = "stayed_ms".into(),
            |p| p.pipelines[0].output = crate::model::Output::Single(Monoid::Count),
        ];
        let first = sync(&Lock::default(), &page_traffic());
        for (at, change) in changes.iter().enumerate() {
            let mut changed = page_traffic();
            change(&mut changed);
            let after = served(&sync(&first, &changed), SERVICE);
            assert_eq!(after.len(), 1, "{at}");
            assert_ne!(after, served(&first, SERVICE), "{at}");
            let said = Review::of(&first, &changed).changes;
            assert!(said.iter().any(|said| said.subject == SERVICE && said.what.contains("refused")), "{at}: {said:?}");
        }
    }

    #[test]
    fn what_no_client_sees_changes_nothing() {
        let changes: [fn(&mut Package); 4] = [
            |p| p.events[0].fields.push(field("country", Kind::String)),
            |p| p.aggregates[0].docs = vec!["Other words.".into()],
            |p| p.aggregates[0].fields.reverse(),
            |p| {
                p.aggregates[0].fields[1].name = "stayed_ms".into();
                p.aggregates[0].fields[1].was = Some("dwell_ms".into());
            },
        ];
        let first = sync(&Lock::default(), &page_traffic());
        for (at, change) in changes.iter().enumerate() {
            let mut changed = page_traffic();
            change(&mut changed);
            assert_eq!(served(&sync(&first, &changed), SERVICE), served(&first, SERVICE), "{at}");
            let said = Review::of(&first, &changed).changes;
            assert!(!said.iter().any(|said| said.what.contains("refused")), "{at}: {said:?}");
        }
    }

    #[test]
    fn a_change_is_felt_by_the_pipelines_that_have_it_in_them() {
        let mut package = everything();
        package.aggregates[0].fields.push(kept("color", Monoid::Latest(Kind::Value("PaintColor".into()))));
        let first = sync(&Lock::default(), &package);
        let Shape::Enum(variants) = &mut package.values[1].shape else { panic!("the fixture has an enum there") };
        variants.push(Variant { name: "Blue".into(), docs: Vec::new(), number: None, was: None });
        let second = sync(&first, &package);
        assert_eq!(served(&second, "AllService").len(), 2);
        assert_eq!(served(&second, "LikesService"), served(&first, "LikesService"));
    }
}
