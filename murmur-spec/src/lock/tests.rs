use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, Value};

use super::*;
use crate::diff::Review;
use crate::emit::descriptor_set;
use crate::fixtures::{everything, field, page_traffic};
use crate::model::{Event, Field, Kind, Package};

/// One edit of a struct, as a person makes it.
#[derive(Debug, Clone)]
enum Edit {
    Add(Kind),
    Remove(usize),
    Rename(usize),
    Retype(usize),
    Move(usize, usize),
    Return,
    Sync,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let kind = prop_oneof![Just(Kind::String), Just(Kind::U64)];
    let edit = prop_oneof![
        3 => kind.prop_map(Edit::Add),
        2 => any::<usize>().prop_map(Edit::Remove),
        2 => any::<usize>().prop_map(Edit::Rename),
        1 => any::<usize>().prop_map(Edit::Retype),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Edit::Move(a, b)),
        1 => Just(Edit::Return),
        4 => Just(Edit::Sync),
    ];
    proptest::collection::vec(edit, 1..40)
}

/// A struct under edit. Each field carries a mark that no rename and no move changes.
#[derive(Default)]
struct Source {
    fields: Vec<(u64, Field)>,
    removed: Vec<(u64, String)>,
    /// Names that the lock knows: only these can be former names.
    locked: Vec<String>,
    next: u64,
}

/// What a number belongs to: a field with its type.
fn identity((mark, field): &(u64, Field)) -> u64 {
    mark * 2 + u64::from(field.kind == Kind::String)
}

impl Source {
    fn edit(&mut self, edit: &Edit) {
        let count = self.fields.len();
        self.next += 1;
        match edit {
            Edit::Add(kind) => self.fields.push((self.next, field(&format!("f{}", self.next), kind.clone()))),
            Edit::Return => {
                if let Some((mark, name)) = self.removed.pop()
                    && self.fields.iter().all(|(_, field)| field.name != name)
                {
                    // Before a sync nobody saw that it was away.
                    let mark = if self.locked.contains(&name) { mark } else { self.next };
                    self.fields.push((mark, field(&name, Kind::String)));
                }
            }
            Edit::Sync => {}
            _ if count == 0 => {}
            Edit::Remove(at) => {
                let (mark, field) = self.fields.remove(at % count);
                self.removed.push((mark, field.name));
            }
            Edit::Rename(at) => {
                let field = &mut self.fields[at % count].1;
                if self.locked.contains(&field.name) {
                    field.was.get_or_insert(field.name.clone());
                }
                field.name = format!("r{}", self.next);
            }
            Edit::Retype(at) => {
                let field = &mut self.fields[at % count].1;
                field.kind = if field.kind == Kind::String { Kind::U64 } else { Kind::String };
            }
            Edit::Move(from, to) => {
                let entry = self.fields.remove(from % count);
                self.fields.insert(to % count, entry);
            }
        }
    }

    fn package(&self) -> Package {
        let fields = self.fields.iter().map(|(_, field)| field.clone()).collect();
        let event = Event { name: "Subject".into(), docs: Vec::new(), fields, beside: Vec::new(), time: None };
        Package { name: "laws.v1".into(), events: vec![event], ..Package::default() }
    }
}

fn descriptor(review: &Review) -> MessageDescriptor {
    let pool = DescriptorPool::decode(&*descriptor_set(review, "laws")).unwrap();
    pool.get_message_by_name("laws.v1.Subject").unwrap()
}

/// A value that tells which field wrote it.
fn mark(identity: u64, kind: &Kind) -> Value {
    match kind {
        Kind::String => Value::String(format!("written by {identity}")),
        _ => Value::U64(identity),
    }
}

proptest! {
    #[test]
    fn no_edit_changes_or_reuses_a_number_and_old_bytes_decode(edits in edits()) {
        let mut source = Source::default();
        let mut lock = Lock::default();
        let mut owners: HashMap<u32, u64> = HashMap::new();
        let mut archive: Vec<Vec<u8>> = Vec::new();
        for edit in edits.iter().chain([&Edit::Sync]) {
            source.edit(edit);
            if !matches!(edit, Edit::Sync) {
                continue;
            }
            let review = Review::of(&lock, &source.package());
            prop_assert!(review.problems.is_empty(), "{:?}", review.problems);
            let subject = &review.lock.messages["Subject"];
            for (number, _) in lock.messages.get("Subject").into_iter().flat_map(|subject| subject.entries.iter()) {
                prop_assert!(subject.entries.contains_key(number), "number {number} was forgotten");
            }
            let identities: BTreeMap<&str, u64> =
                source.fields.iter().map(|entry| (entry.1.name.as_str(), identity(entry))).collect();
            for (number, fact) in subject.fields() {
                let owner = *owners.entry(number).or_insert(identities[fact.name.as_str()]);
                prop_assert_eq!(owner, identities[fact.name.as_str()], "number {} went to another field", number);
            }

            let descriptor = descriptor(&review);
            for bytes in &archive {
                let old = DynamicMessage::decode(descriptor.clone(), &**bytes).unwrap();
                for entry in &source.fields {
                    let field = &entry.1;
                    let read = old.get_field_by_name(&field.name).unwrap();
                    let absent = read.is_default(&descriptor.get_field_by_name(&field.name).unwrap().kind());
                    prop_assert!(absent || *read == mark(identity(entry), &field.kind), "{} was misread", field.name);
                }
            }
            let mut message = DynamicMessage::new(descriptor);
            for entry in &source.fields {
                message.set_field_by_name(&entry.1.name, mark(identity(entry), &entry.1.kind));
            }
            archive.push(message.encode_to_vec());
            // What a person does after a sync: remove the `was` that has done its work.
            source.fields.iter_mut().for_each(|(_, field)| field.was = None);
            source.locked = source.fields.iter().map(|(_, field)| field.name.clone()).collect();
            lock = review.lock;
        }
    }

    #[test]
    fn what_is_written_reads_back_and_planning_again_changes_nothing(edits in edits()) {
        let mut source = Source::default();
        edits.iter().for_each(|edit| source.edit(edit));
        source.fields.iter_mut().for_each(|(_, field)| field.was = None);
        let first = Review::of(&Lock::default(), &source.package());
        let text = first.lock.to_string();
        let read: Lock = text.parse().unwrap();
        prop_assert_eq!(&read, &first.lock);
        let again = Review::of(&read, &source.package());
        prop_assert!(again.changes.is_empty() && again.is_sound());
        prop_assert_eq!(again.lock.to_string(), text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(\\[(message|enum|table|service|decisions)( A)?\\]\n|[0-9]{1,12} [a-z ]{0,12}\n|reserved [0-9x]{0,3} a\n|package a\n|.{0,12}\n){0,20}") {
        let _ = text.parse::<Lock>();
    }
}

#[test]
fn a_lock_with_everything_reads_back() {
    let mut lock = Review::of(&Lock::default(), &everything()).lock;
    lock.messages.get_mut("Card").unwrap().gone = true;
    lock.decisions.push(Decision {
        code: "M0610".into(),
        subject: "Everything.at".into(),
        change: "string -> uint64".into(),
        done: false,
    });
    assert_eq!(lock.to_string().parse::<Lock>().unwrap(), lock);
}

#[test]
fn numbers_follow_the_lock_and_not_the_order_of_fields() {
    let mut package = page_traffic();
    let lock = Review::of(&Lock::default(), &package).lock;
    package.events[0].fields.reverse();
    package.aggregates[0].fields.rotate_left(2);
    assert_eq!(Review::of(&lock, &package).lock, lock);
}

#[test]
fn numbers_that_protobuf_keeps_are_never_given() {
    let fields: Vec<Field> = (1..=19_010).map(|at| field(&format!("f{at}"), Kind::Bool)).collect();
    let event = Event { name: "Wide".into(), docs: Vec::new(), fields, beside: Vec::new(), time: None };
    let package = Package { name: "wide.v1".into(), events: vec![event], ..Package::default() };
    let review = Review::of(&Lock::default(), &package);
    let numbers: Vec<u32> = review.lock.messages["Wide"].fields().map(|(number, _)| number).collect();
    assert!(numbers.iter().all(|number| !HOLE.contains(number)));
    assert_eq!(numbers.last(), Some(&20_010));
}

#[test]
fn a_number_fixed_by_hand_is_taken_or_refused() {
    let with = |number| {
        let mut package = page_traffic();
        package.events[0].fields.push(Field { number: Some(number), ..field("country", Kind::String) });
        package
    };
    let mut lock = Review::of(&Lock::default(), &page_traffic()).lock;
    let number_of = |review: &Review| review.lock.messages["PageView"].field("country").map(|(number, _)| number);

    let taken = Review::of(&lock, &with(70));
    assert_eq!((number_of(&taken), taken.is_sound()), (Some(70), true));
    for (number, code) in [(0, "M0114"), (19_500, "M0114"), (2, "M0602")] {
        let refused = Review::of(&lock, &with(number));
        assert_eq!(refused.problems[0].code.id, code, "{number}");
        assert_eq!(refused.problems[0].subject, "PageView.country");
        assert_eq!(number_of(&refused), Some(6), "the field still gets a number");
    }
    let mut without = page_traffic();
    without.events[0].fields.remove(1);
    lock = Review::of(&lock, &without).lock;
    let refused = Review::of(&lock, &{
        let mut package = with(2);
        package.events[0].fields.remove(1);
        package
    });
    assert!(refused.problems[0].message.contains("`user_id`"), "{}", refused.problems[0].message);
}

#[test]
fn a_message_that_returns_has_its_old_numbers() {
    let lock = Review::of(&Lock::default(), &everything()).lock;
    let mut without = everything();
    without.values.retain(|value| value.name != "Card");
    let crate::model::Shape::OneOf(fields) = &mut without.values[2].shape else { panic!("the oneof stands there") };
    fields.remove(0);
    let gone = Review::of(&lock, &without);
    assert!(gone.is_sound(), "{:?}", gone.breaks);
    assert!(gone.lock.messages["Card"].gone);
    let mut back = everything();
    let crate::model::Shape::OneOf(fields) = &mut back.values[2].shape else { panic!("the oneof stands there") };
    fields.remove(0);
    let back = Review::of(&gone.lock, &back);
    assert_eq!(back.lock.messages["Card"], lock.messages["Card"]);
}

#[test]
fn a_broken_lock_says_where_and_what_to_do() {
    let cases = [
        ("package a.v1\n[message A]\n1 a string\n<<<<<<< ours\n", 4, "merge conflict"),
        ("package a.v1\n[message A]\n1 a string\n1 b string\n", 4, "for `a` and for `b`"),
        ("package a.v1\n[message A]\n1 a string\n2 a string\n", 4, "`a` stands twice"),
        ("package a.v1\n[message A]\n[message A]\n", 3, "stands twice"),
        ("package a.v1\n[message A]\n19500 a string\n", 3, "protobuf"),
        ("package a.v1\n[message A]\nx a string\n", 3, "`x` is not a number"),
        ("package a.v1\n[shape A]\n", 2, "not a section"),
        ("package a.v1\n[table a_v1]\nsort pk\n", 3, "`sort`"),
        ("package a.v1\n[decisions]\nmaybe M0610 A.a x -> y\n", 3, "`maybe`"),
        ("[message A]\n", 1, "package"),
    ];
    for (text, line, part) in cases {
        let error = text.parse::<Lock>().unwrap_err();
        assert_eq!(error.line, line, "{text}");
        assert!(error.message.contains(part), "{text}: {}", error.message);
    }
}

#[test]
fn a_field_may_have_any_name() {
    let fields = ["reserved", "gone", "as", "json", "package"].map(|name| field(name, Kind::String)).to_vec();
    let event = Event { name: "Odd".into(), docs: Vec::new(), fields, beside: Vec::new(), time: None };
    let package = Package { name: "odd.v1".into(), events: vec![event], ..Package::default() };
    let lock = Review::of(&Lock::default(), &package).lock;
    assert_eq!(lock.to_string().parse::<Lock>().unwrap(), lock);
}
