//! Rules about aggregates that name others: structs, and maps of them.

use super::Check;
use crate::aggregate::{self, Aggregate};
use crate::attr::text;
use crate::codes;
use crate::ctxt::suggest;
use crate::item::{Item, Part};
use crate::model::Monoid;

impl<'a> Check<'a> {
    /// An aggregate as it is written in the item `at`.
    pub(super) fn aggregate(&mut self, at: usize, part: Part, monoid: &Monoid) {
        match monoid {
            Monoid::Custom { rust, .. } => match (self.structure(rust).is_some(), &part) {
                (true, Part::Output) => {}
                (true, _) => {
                    let message =
                        format!("`{rust}` is an aggregate struct itself; list its fields here, as replies are flat");
                    self.say(at, part, codes::NESTED_AGGREGATE, message);
                }
                (false, Part::Output) => {
                    let otherwise =
                        format!("or return your own monoid as `({rust},)`, with `fields(name(as = \"uint64\"))`");
                    self.unknown(at, part, rust, &otherwise);
                }
                (false, _) => {}
            },
            Monoid::Map(_, of, _) => self.map(at, part, of),
            _ => {}
        }
    }

    fn map(&mut self, at: usize, part: Part, of: &Monoid) {
        match of {
            Monoid::Struct(name) => match self.structure(name) {
                None => {
                    let otherwise = match part {
                        Part::Output => {
                            "or put the `Map` into such a struct, where `as` says the reply of your own monoid"
                        }
                        _ => "or, for a monoid of your own, say its reply: `as = \"uint64\"`",
                    };
                    self.unknown(at, part, name, otherwise);
                }
                Some(of) => {
                    if let Some(set) = of.fields.iter().find(|field| field.monoid == Monoid::DistinctSet) {
                        let message = aggregate::no_sets(&format!("`{name}.{}`", text(&set.ident)));
                        self.say(at, part, codes::AGGREGATE_OF, message);
                    } else if self.holds_itself(of) {
                        let message =
                            format!("`{name}` keeps a `Map` of itself, which has no end; make it one of another");
                        self.say(at, part, codes::NESTED_AGGREGATE, message);
                    }
                }
            },
            Monoid::Custom { rust, .. } if self.structure(rust).is_some() => {
                let message = format!("`{rust}` is an aggregate struct, and has its reply already; leave `as` out");
                self.say(at, part, codes::ATTRIBUTE_FORM, message);
            }
            _ => {}
        }
    }

    fn structures(&self) -> Vec<&'a Aggregate> {
        self.find(|item| if let Item::Aggregate(aggregate) = item { Some(aggregate) } else { None })
    }

    /// The aggregate struct of this name.
    fn structure(&self, name: &str) -> Option<&'a Aggregate> {
        self.structures().into_iter().find(|aggregate| text(&aggregate.ident) == name)
    }

    /// Whether the struct is found again by way of its maps.
    fn holds_itself(&self, start: &'a Aggregate) -> bool {
        let (mut seen, mut ahead) = (Vec::new(), vec![start]);
        while let Some(aggregate) = ahead.pop() {
            for field in &aggregate.fields {
                let Monoid::Map(_, of, _) = &field.monoid else { continue };
                let Monoid::Struct(name) = &**of else { continue };
                if text(&start.ident) == *name {
                    return true;
                }
                if !seen.contains(&name) {
                    seen.push(name);
                    ahead.extend(self.structure(name));
                }
            }
        }
        false
    }

    fn unknown(&mut self, at: usize, part: Part, name: &str, otherwise: &str) {
        let known: Vec<String> = self.structures().iter().map(|aggregate| text(&aggregate.ident)).collect();
        let way = match suggest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("put `#[murmur::aggregate]` on `struct {name}`, {otherwise}"),
        };
        self.say(at, part, codes::UNKNOWN_AGGREGATE, format!("this package has no aggregate `{name}`; {way}"));
    }
}
