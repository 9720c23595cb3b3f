//! Gives every field its number: the one the lock has, else the smallest that was never given.

use std::collections::BTreeMap;

use super::{Entry, Fact, HOLE, Lock, MAX_ENUM, MAX_FIELD, Numbered, Service, Table, served};
use crate::codes::{self, Code};
use crate::diff::rules;
use crate::emit::pipeline_rpcs;
use crate::names;
use crate::schema::{self, Form, Place, Schema};

/// A lock brought up to date with the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The lock as `cargo murmur sync` would write it; the numbers of new fields in it are provisional until then.
    pub lock: Lock,
    /// What no number can be given for as it is written.
    pub problems: Vec<Problem>,
}

/// Something about a number or name that is wrong in itself; accepting it is not possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code of the finding.
    pub code: Code,
    /// What it is about, `PageView.at`.
    pub subject: String,
    /// Where it belongs.
    pub place: Place,
    /// What is wrong, and the way out.
    pub message: String,
}

/// What a numbered thing wants.
struct Wish {
    fact: Fact,
    was: Option<String>,
    pin: Option<u32>,
    place: Place,
}

/// Which numbers are possible.
#[derive(Clone, Copy)]
struct Range {
    max: u32,
    hole: bool,
}

impl Range {
    const FIELDS: Self = Self { max: MAX_FIELD, hole: true };
    const ENUM: Self = Self { max: MAX_ENUM, hole: false };

    fn allows(self, number: u32) -> bool {
        (1..=self.max).contains(&number) && !(self.hole && HOLE.contains(&number))
    }
}

impl Lock {
    /// Bring the lock up to date: numbers of the lock stay, new fields get the smallest number that was never given,
    /// removed ones are reserved. A field whose type or monoid changes in a way that old readers or stored tiles
    /// could misread gets a new number too.
    pub fn plan(&self, schema: &Schema) -> Plan {
        let mut plan = Plan { lock: Self { package: schema.package.clone(), ..self.clone() }, problems: Vec::new() };
        plan.messages(schema);
        plan.enums(schema);
        plan.services(schema);
        plan.served(self);
        plan.tables(schema);
        plan
    }
}

impl Plan {
    fn messages(&mut self, schema: &Schema) {
        for old in self.lock.messages.values_mut() {
            old.gone = true;
        }
        for message in &schema.messages {
            let wishes = message.fields.iter().map(|field| Wish {
                fact: Fact {
                    name: field.name.clone(),
                    shape: field.shape.to_string(),
                    json: None,
                    kept: field.kept.clone(),
                },
                was: field.was.clone(),
                pin: field.pin,
                place: Place::Field(message.name.clone(), field.name.clone()),
            });
            let wishes: Vec<Wish> = wishes.collect();
            let numbered = self.lock.messages.entry(message.name.clone()).or_default();
            assign(numbered, &message.name, wishes, Range::FIELDS, &mut self.problems);
            check_json_names(numbered, message, &mut self.problems);
        }
    }

    fn enums(&mut self, schema: &Schema) {
        for old in self.lock.enums.values_mut() {
            old.gone = true;
        }
        for item in &schema.enums {
            let zero = item.zero();
            let wishes = item.values.iter().filter(|value| value.name != zero).map(|value| Wish {
                fact: Fact { name: value.name.clone(), ..Fact::default() },
                was: value.was.clone(),
                pin: value.pin,
                place: Place::Field(item.name.clone(), value.variant.clone()),
            });
            let wishes: Vec<Wish> = wishes.collect();
            let numbered = self.lock.enums.entry(item.name.clone()).or_default();
            numbered.entries.remove(&0);
            assign(numbered, &item.name, wishes, Range::ENUM, &mut self.problems);
            numbered.entries.insert(0, Entry::Field(Fact { name: zero, ..Fact::default() }));
        }
    }

    fn services(&mut self, schema: &Schema) {
        self.lock.services = schema
            .services
            .iter()
            .map(|service| {
                let facts = Service {
                    key: service.key.clone(),
                    value: service.value.to_string(),
                    rpcs: pipeline_rpcs(service),
                    serves: Vec::new(),
                };
                (service.name.clone(), facts)
            })
            .collect();
    }

    fn served(&mut self, old: &Lock) {
        let new = &self.lock;
        let served = new.services.iter().map(|(name, service)| served::served(old, new, name, service));
        let served: Vec<_> = served.collect();
        self.lock.services.values_mut().zip(served).for_each(|(service, served)| service.serves = served);
    }

    fn tables(&mut self, schema: &Schema) {
        let tables = schema.tables.iter().map(|table| {
            let key = self.lock.messages.get(&table.key);
            let number = |name: &str| key.and_then(|key| key.field(name)).map_or(0, |(number, _)| number);
            let key_fields = schema.messages.iter().filter(|message| message.name == table.key);
            let key_text: Vec<String> = key_fields
                .flat_map(|message| &message.fields)
                .map(|field| format!("{}:{}", number(&field.name), field.shape.ty.name()))
                .collect();
            let mut grains: Vec<Vec<u32>> =
                table.rollup.iter().map(|grain| grain.iter().map(|name| number(name)).collect()).collect();
            // Their order in the source means nothing.
            grains.sort();
            let grain_text = |grain: &Vec<u32>| {
                let numbers: Vec<String> = grain.iter().map(u32::to_string).collect();
                if numbers.is_empty() { "-".to_owned() } else { numbers.join(".") }
            };
            let facts = Table {
                key: key_text.join(" "),
                rollup: grains.iter().map(grain_text).collect::<Vec<_>>().join(" "),
                value: table.value.clone(),
                form: match table.form {
                    Form::Add => "add".into(),
                    Form::Put => "put".into(),
                },
                layout: table.window.layout.clone(),
                keep: table.window.keep.clone(),
            };
            (table.name.clone(), facts)
        });
        self.lock.tables = tables.collect();
    }
}

fn assign(numbered: &mut Numbered, owner: &str, wishes: Vec<Wish>, range: Range, problems: &mut Vec<Problem>) {
    let known = !numbered.gone || !numbered.entries.is_empty();
    numbered.gone = false;
    let old: BTreeMap<String, (u32, Fact)> =
        numbered.fields().map(|(number, fact)| (fact.name.clone(), (number, fact.clone()))).collect();
    let current: Vec<String> = wishes.iter().map(|wish| wish.fact.name.clone()).collect();
    let mut problem = |wish: &Wish, code, message: String| {
        let subject = format!("{owner}.{}", wish.fact.name);
        problems.push(Problem { code, subject, place: wish.place.clone(), message });
    };

    // Everything that is not claimed below stays reserved.
    for (number, fact) in old.values() {
        numbered.entries.insert(*number, Entry::Reserved(fact.name.clone()));
    }

    let mut new = Vec::new();
    for mut wish in wishes {
        let before = match (old.get(&wish.fact.name), &wish.was) {
            (Some(before), _) => Some(before),
            (None, Some(was)) if current.contains(was) => {
                let message = format!(
                    "`{owner}` still has a field `{was}`, so `{}` cannot have been it; remove `was = \"{was}\"`",
                    wish.fact.name
                );
                problem(&wish, codes::WAS_UNKNOWN, message);
                None
            }
            (None, Some(was)) => {
                let before = old.get(was);
                if before.is_none() && known && !old.is_empty() {
                    let names: Vec<String> = old.keys().map(|name| format!("`{name}`")).collect();
                    let message = format!(
                        "the lock knows no field `{was}` of `{owner}`; it knows {}; mend the name or remove `was`",
                        names.join(", ")
                    );
                    problem(&wish, codes::WAS_UNKNOWN, message);
                }
                before
            }
            (None, None) => None,
        };
        let Some((number, before)) = before else {
            new.push(wish);
            continue;
        };
        let free = wish.pin.is_none_or(|pin| pin == *number);
        if free && rules::same_number(before, &wish.fact) || wish.pin == Some(*number) {
            let json = before.json_name();
            wish.fact.json = (range.hole && json != names::json(&wish.fact.name)).then_some(json);
            numbered.entries.insert(*number, Entry::Field(wish.fact));
        } else {
            new.push(wish);
        }
    }

    // Numbers that the user fixed go first, so that no automatic one takes them.
    let (pinned, automatic): (Vec<Wish>, Vec<Wish>) = new.into_iter().partition(|wish| wish.pin.is_some());
    let mut rest = Vec::new();
    for wish in pinned {
        let pin = wish.pin.unwrap_or_default();
        if !range.allows(pin) {
            let hole = if range.hole { " except 19000 to 19999, which protobuf keeps for itself" } else { "" };
            let message = format!("{pin} cannot be a number here; write one from 1 to {}{hole}", range.max);
            problem(&wish, codes::NUMBER, message);
            rest.push(wish);
        } else if let Some(taken) = numbered.entries.get(&pin) {
            let how = match taken {
                Entry::Field(fact) => format!("number {pin} of `{owner}` belongs to `{}`", fact.name),
                Entry::Reserved(name) => {
                    format!("number {pin} of `{owner}` belonged to `{name}` and is never given again")
                }
            };
            let message = format!("{how}; write another number, or none to get the next free one");
            problem(&wish, codes::NUMBER_TAKEN, message);
            rest.push(wish);
        } else {
            numbered.entries.insert(pin, Entry::Field(wish.fact));
        }
    }
    let mut next = 1;
    for wish in rest.into_iter().chain(automatic) {
        while numbered.entries.contains_key(&next) || !range.allows(next) {
            next += 1;
        }
        numbered.entries.insert(next, Entry::Field(wish.fact));
    }
}

/// Two fields of one name in JSON cannot be told apart there. It takes a rename to get here: `user_id` became
/// `viewer_id` and kept `userId`, and now a new `user_id` comes.
fn check_json_names(numbered: &Numbered, message: &schema::Message, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (_, fact) in numbered.fields() {
        let json = fact.json_name();
        if let Some(other) = seen.insert(json.clone(), &fact.name) {
            problems.push(Problem {
                code: codes::JSON_CLASH,
                subject: format!("{}.{}", message.name, fact.name),
                place: Place::Field(message.name.clone(), fact.name.clone()),
                message: format!(
                    "`{other}` and `{}` of `{}` are both `{json}` in JSON; give the newer one another name",
                    fact.name, message.name
                ),
            });
        }
    }
}
