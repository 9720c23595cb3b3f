//! The catalogue: every finding has a number that never changes its meaning.
//!
//! `M01` events and values, `M02` attributes, `M03` pipelines, `M04` aggregates, `M05` the package as a whole,
//! `M06` the number lock and the evolution of contracts, `M09` agreement of macro and build step.

use std::fmt;

/// One kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code {
    /// `M0101`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Why it is so and what to do, in a sentence or two.
    pub help: &'static str,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl Code {
    /// The code with this number.
    pub fn find(id: &str) -> Option<Self> {
        ALL.iter().find(|code| code.id == id).copied()
    }
}

/// Makes one constant per line, and the list of all.
macro_rules! codes {
    ($($name:ident $id:literal $title:literal: $help:literal;)*) => {
        $(#[doc = concat!("`", $id, "`: ", $title, ". ", $help)]
        pub const $name: Code = Code { id: $id, title: $title, help: $help };)*

        /// All codes, in order.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    NO_FIXED_SIZE "M0101" "type without a fixed size": "A contract needs types that are the same on every platform: write `u64` or `i64`.";
    TOO_WIDE "M0102" "integer of 128 bits": "Protobuf has no such integer: write `u64`, `i64`, or a `String`.";
    BORROWED "M0103" "borrowed data": "An event outlives the buffer it was read from: own the data, for example as `String`.";
    GENERIC "M0104" "generic item": "A contract has no type parameters: name the types.";
    TUPLE "M0105" "tuple as a field": "Protobuf has no tuples: use a struct with `#[murmur::value]`.";
    ARRAY "M0106" "array or slice as a field": "Protobuf has no lengths: write `Vec<T>`.";
    NESTED "M0107" "containers in containers": "Protobuf has one level of `optional`, `repeated` and `map`: put the inner one into a struct with `#[murmur::value]`.";
    MAP_KEY "M0108" "key of a map": "Protobuf allows `String`, `bool`, and integers of 32 and 64 bits as keys of maps.";
    NO_PROTO "M0109" "type without a protobuf form": "Write a type of the table in `murmur_spec`, a `#[murmur::value]`, or say how it reads by `#[murmur(as = \"string\")]`.";
    SHAPE "M0110" "wrong kind of item": "Events and aggregates are structs with named fields; pipelines are functions or such structs.";
    TWO_TIMES "M0111" "two time fields": "An event happens once: leave `#[murmur(time)]` on one field.";
    TIME_TYPE "M0112" "time field of another type": "The time of an event is a `Timestamp` that is always there.";
    CONDITIONAL "M0113" "conditional field": "The contract must not depend on how the crate is built: remove the `cfg`, or put it on the whole item.";
    NUMBER "M0114" "impossible field number": "Field numbers are 1 to 536870911, without 19000 to 19999, each once per message.";
    VALUE_SHAPE "M0115" "wrong shape of a value": "A value is a struct with named fields, a struct around one type, or an enum whose variants are empty, hold one type, or have named fields.";
    NAME_FORM "M0116" "name that protobuf cannot carry": "Names in contracts are ASCII letters, digits and `_`, and stay apart when written in lowerCamelCase.";
    BESIDE_TYPE "M0117" "type of what stands beside the payload": "Headers are `String`, `Vec<u8>`, numbers and `bool`, keys of records `String` and `Vec<u8>`, the time of a record is a `Timestamp`; or `Option` of these.";
    TWO_PLACES "M0118" "field and place that do not pair": "A field has one place, and each place is one field.";
    READ_TWICE "M0119" "field that is read from the payload too": "What stands beside the payload is not in it: move `#[derive(Deserialize)]` below the `murmur` attribute, which then leaves the field out, or write `#[serde(skip)]` on it.";

    UNKNOWN_KEY "M0201" "unknown key in an attribute": "The message lists what is possible here.";
    DUPLICATE_KEY "M0202" "key given twice": "Each key stands once.";
    ATTRIBUTE_FORM "M0203" "key with a value of the wrong form": "The message shows the form.";
    DURATION "M0204" "not a length of time": "Write a number and a unit, several in a row if needed: `30s`, `15m`, `1h30m`, `90d`.";

    SIGNATURE "M0301" "signature of a pipeline": "A pipeline is a plain function from a reference to an event to an aggregate: `fn page_traffic(view: &PageView) -> Traffic`.";
    NO_KEY "M0302" "pipeline without a key": "Say what to count by: `key = page_id`, `key = (shop_id, sku)`, or `#[murmur(key)]` on a field of the event.";
    RETURNS "M0303" "return type of a pipeline": "A pipeline returns an aggregate, `Option` of one, or an iterator of `(Key, Aggregate)`.";
    FAN_OUT_KEY "M0304" "key of a fan-out": "The key in the signature has as many parts as `key = ` has names: `key = (tag, shop)` goes with `((String, u32), Count)`.";
    RETENTION "M0305" "retention shorter than the window": "What expires before its window ends can never be answered: keep at least one window.";
    WINDOW_FIT "M0306" "window that does not fit its slots": "A sliding window is a whole number of slots, and no length is zero.";
    ROLLUP "M0307" "impossible rollup": "`rollup` lists sets of fields of the key, each set once, and each field in at least one: `rollup = [(post_id, country), (post_id), ()]`.";
    DUPLICATE_FIELD "M0308" "field twice in a key": "A field stands once in a key.";
    PIPELINE_NAME "M0309" "name of a pipeline": "It is in snake_case, and the type it makes must differ from the event's: `name = \"likes\"` on `struct Like` makes `Likes`.";
    FIELD_AGGREGATE "M0310" "aggregate that does not fit its field": "The message says which fields it takes.";
    PACKAGE_NAME "M0311" "name of a protobuf package": "It is lower-case words joined by dots, the last one a version: `shop.orders.v1`.";
    WINDOW_WITHOUT_TIME "M0312" "window without a time field": "A window needs to know when an event happened: put `#[murmur(time)]` on a `Timestamp` field of the event, or leave `window` out.";
    DEDUP "M0313" "impossible `dedup`": "An event is identified by fields that are strings, integers, booleans or timestamps, or `Option` of one; and for 1 to 10,000,000 events of a partition: `dedup = within(1_000_000, event_id)`.";
    TUPLE_NAMES "M0314" "names of what a function returns": "A tuple has no names, and contracts go by names: give each of its members one, in their order, as in `fields(views, visitors)`.";

    AGGREGATE_TYPE "M0401" "type that is not an aggregate": "Fields of an aggregate struct are aggregates: `Count`, `Sum<u64>`, `Average`, `Moments`, `Min<T>`, `Max<T>`, `First<T>`, `Last<T>`, `Latest<T>`, `Set<T, 100>`, `Quantiles`, `Distinct`, `DistinctSet`, `TopK<10>`, `Decayed<3600>`, `Membership<10_000>`, `Frequency`, `Map<String, Count, 100>`, or your own `impl Monoid`.";
    AGGREGATE_OF "M0402" "parameter of an aggregate": "The message lists what this aggregate can be of.";
    NESTED_AGGREGATE "M0403" "aggregate struct in an aggregate struct": "Replies are flat: list the fields of the inner struct in the outer one.";
    EMPTY "M0404" "nothing in it": "A struct or enum of a contract has at least one field or variant.";

    DUPLICATE_NAME "M0501" "two items of one name": "All events, values, aggregates and generated messages of a crate share one protobuf package, so their names must differ, in different modules too.";
    DUPLICATE_PIPELINE "M0502" "two pipelines of one name": "The name is the table and the service: give one of them another by `name = \"...\"`.";
    UNKNOWN_EVENT "M0503" "event that the package does not have": "The argument of a pipeline is a struct of this package with `#[murmur::event]`; aliases are not followed.";
    UNKNOWN_FIELD "M0504" "field that the event does not have": "Names after `key =`, `rollup =` and `dedup =` are fields of the event.";
    KEY_TYPE "M0505" "type that cannot be a key": "Keys are made of `String`, integers, `bool` and `Timestamp` that are always there.";
    UNKNOWN_VALUE "M0506" "type that the package does not have": "A type of your own has `#[murmur::value]`; aliases are not followed, so write the type itself.";
    TWO_PACKAGES "M0507" "two protobuf packages": "All pipelines of a crate share one package: give the same `package = \"...\"`, or give it once.";
    UNKNOWN_AGGREGATE "M0508" "aggregate that the package does not have": "A pipeline returns, and a `Map` is of, an aggregate of Murmur or a struct of this package with `#[murmur::aggregate]`; your own monoid is a field of such a struct, or of a tuple, and says its reply by `as`.";

    LOCK_UNREADABLE "M0601" "number lock that cannot be read": "`proto/murmur.lock` is text that git merges; the message names the line.";
    NUMBER_TAKEN "M0602" "field number that is taken": "A number belongs to its first field for ever, also after its removal: write another, or none to get the next free one.";
    WAS_UNKNOWN "M0603" "former name that the lock does not know": "`was = \"...\"` names the field as it was before: it must be in `proto/murmur.lock` and no longer in the struct.";
    NAME_REMOVED "M0604" "name of a removed field": "Old readers may still hold values of the removed field under this name: take another name, or accept.";
    NUMBER_CHANGED "M0605" "field number changed": "Old readers look for the field under its old number: remove `number = ...`, or accept.";
    JSON_CLASH "M0606" "two fields of one name in JSON": "A renamed field keeps its name in JSON: give the newer field another name.";
    TYPE_CHANGED "M0610" "type of a field changed": "Old readers would misread it: keep the type, add a field of another name, or accept; an accepted field gets a new number.";
    CARDINALITY_CHANGED "M0611" "cardinality of a field changed": "One value, a list and a map are written differently: keep it, add a field of another name, or accept.";
    ONEOF_CHANGED "M0612" "field moved into or out of a `oneof`": "Old readers would see other fields vanish: keep it, make a new type, or accept.";
    AGGREGATE_CHANGED "M0613" "aggregate changed": "What is stored cannot be read as another aggregate: keep it, add a field of another name, or accept; an accepted one starts from nothing.";
    VALUE_RENAMED "M0614" "value of an enum renamed": "JSON carries the names of enum values: keep the name, or accept.";
    KIND_CHANGED "M0615" "message became an enum, or the reverse": "Make a type of another name, or accept.";
    SERVICE_REMOVED "M0620" "service removed": "Its clients would be refused: keep the pipeline, or accept.";
    RPC_REMOVED "M0621" "method removed": "Its callers would be refused: go back to the release of Murmur that has it, or accept.";
    RPC_CHANGED "M0622" "types of a method changed": "Its callers would be misread: go back to the release of Murmur that had them, or accept.";
    ANSWER_CHANGED "M0623" "type of a pipeline's answers changed": "Clients read the old type: keep it, make a pipeline of another name, or accept.";
    KEY_CHANGED "M0630" "key of a live table changed": "Stored items lie under the old key: make a pipeline of another name, or accept and replay.";
    ROLLUP_CHANGED "M0631" "rollups of a live table changed": "Stored items know only the old ones: make a pipeline of another name, or accept and replay.";
    LAYOUT_CHANGED "M0632" "window of a live table changed": "Stored items are cut at the old slots: make a pipeline of another name, or accept and replay.";
    RETENTION_CHANGED "M0633" "retention of a live table changed": "Stored items expire as they were written: accept, and expect full windows after the longer of the two.";
    FORM_CHANGED "M0634" "form of a live table changed": "With only counts, sums and averages a table holds numbers, else encoded values: make a pipeline of another name, or accept and replay.";
    PACKAGE_CHANGED "M0640" "protobuf package changed": "All full names change with it: keep the old one by `package = \"...\"`, or accept.";
    NOT_LOCKED "M0650" "contract ahead of the lock": "Run `cargo murmur sync` and commit `proto/` and `schema/`.";

    NO_BUILD_STEP "M0901" "no build step": "Add `murmur-build` to `[build-dependencies]`, and `fn main() { murmur_build::run() }` as `build.rs`.";
    NOT_SEEN "M0902" "item that the build step did not see": "The build step reads sources: an item made by another macro, inside a function, or in a file that no `mod` reaches is invisible to it.";
    DISAGREEMENT "M0903" "macro and build step read different things": "Give `murmur-stream` and `murmur-build` the same version; if they have, an attribute above this item changes it: move the `murmur` attribute to the top.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ascending() {
        for pair in ALL.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} stands before {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn a_code_is_found_by_its_number() {
        assert_eq!(Code::find("M0101"), Some(NO_FIXED_SIZE));
        assert_eq!(Code::find("M0000"), None);
    }
}
