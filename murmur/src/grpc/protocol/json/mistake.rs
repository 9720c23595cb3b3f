//! What is said of JSON that is not what its message takes: the field, and what it takes. Values are not said, as one may be of a key;
//! a name that no field has is, which is how a slip of the pen is found.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::error::Category;
use tonic::Status;

use super::super::super::refusal::{Reason, shown};

/// Where a value was refused, and what else is known of why.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// The innermost first.
    pub(super) steps: Vec<Step>,
    /// Unless it is the value itself.
    pub(super) what: Option<What>,
}

/// From a value to one that lies in it.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Field(FieldDescriptor),
    Element(usize),
    /// Of a map, whose keys are the caller's.
    Entry,
}

/// What is wrong with a name.
#[derive(Debug)]
pub(super) enum What {
    /// This message has no such field.
    Unknown(String, MessageDescriptor),
    Twice(FieldDescriptor),
}

impl Trail {
    /// What a caller is told.
    pub(super) fn status(self, message: &MessageDescriptor, error: &serde_json::Error) -> Status {
        let unreadable = |why: String| format!("the request is not the JSON of a `{}`: {why}", message.name());
        let at = position(error);
        match (&self.what, self.steps.first()) {
            (Some(What::Unknown(name, of)), _) => {
                let known: Vec<String> = of.fields().map(|field| format!("`{}`", field.name())).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let name = shown(name);
                let text = unreadable(format!("`{}` has no field `{name}`{at}; it has {known}", of.name()));
                Reason::REQUEST_UNREADABLE.bare_of_field(self.path(Some(&name)), text)
            }
            (Some(What::Twice(field)), _) => {
                let path = self.path(Some(field.name()));
                let text = format!("`{path}` is given twice{at}; give it once");
                Reason::FIELD_INVALID.bare_of_field(path, text)
            }
            // Of a text that is no JSON nothing is quoted, and of a choice only its name.
            (None, _) if error.classify() != Category::Data || is_choice(error) => {
                Reason::REQUEST_UNREADABLE.bare(unreadable(error.to_string()))
            }
            (None, None) => Reason::REQUEST_UNREADABLE.bare(unreadable(format!("an object is expected{at}"))),
            (None, Some(_)) => {
                let path = self.path(None);
                let text = format!("`{path}` takes {}; what stands there is none{at}", self.taken());
                Reason::FIELD_INVALID.bare_of_field(path, text)
            }
        }
    }

    /// The path of the field, and of one in it.
    fn path(&self, last: Option<&str>) -> String {
        let mut path = String::new();
        let name = |path: &mut String, name: &str| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
        };
        for step in self.steps.iter().rev() {
            match step {
                Step::Field(field) => name(&mut path, field.name()),
                Step::Element(index) => path.push_str(&format!("[{index}]")),
                Step::Entry => {}
            }
        }
        last.into_iter().for_each(|last| name(&mut path, last));
        path
    }

    /// What the innermost of the fields takes, or a list or a map that it is.
    fn taken(&self) -> String {
        let field = self.steps.iter().enumerate().find_map(|(depth, step)| match step {
            Step::Field(field) => Some((field, depth > 0)),
            Step::Element(_) | Step::Entry => None,
        });
        match field {
            Some((field, false)) if field.is_list() => "a list".to_owned(),
            Some((field, is_within)) => match field.kind() {
                Kind::Message(entry) if field.is_map() && is_within => taken_by(&entry.map_entry_value_field().kind()),
                kind => taken_by(&kind),
            },
            None => "another value".to_owned(),
        }
    }
}

fn taken_by(kind: &Kind) -> String {
    let whole = |least: i64, most: u64| format!("a whole number from {least} to {most}");
    let written_out =
        |least: i64, most: u64| format!("{}, from 2^53 on without a point or an exponent", whole(least, most));
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::String => "a text".to_owned(),
        Kind::Bytes => "bytes as a text in base64".to_owned(),
        Kind::Float | Kind::Double => "a number".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => whole(i32::MIN.into(), i32::MAX as u64),
        Kind::Uint32 | Kind::Fixed32 => whole(0, u32::MAX.into()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => written_out(i64::MIN, i64::MAX as u64),
        Kind::Uint64 | Kind::Fixed64 => written_out(0, u64::MAX),
        Kind::Enum(of) => {
            let names: Vec<String> = of.values().map(|value| format!("`{}`", value.name())).collect();
            format!("one of {}", names.join(", "))
        }
        Kind::Message(of) => match of.full_name() {
            "google.protobuf.Duration" => {
                "a length of time: seconds with `s` behind them, as \"300s\", and at most 315576000000s".to_owned()
            }
            "google.protobuf.Timestamp" => {
                "a time of the years 1 to 9999 as RFC 3339 writes it, as \"2026-05-16T12:00:00Z\"".to_owned()
            }
            _ => "an object".to_owned(),
        },
    }
}

/// Whether two fields are set of which one is possible, which prost-reflect says of the message that they are of.
fn is_choice(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("multiple fields provided for oneof")
}

/// ` at line 1 column 7`, where that is known.
fn position(error: &serde_json::Error) -> String {
    match error.line() {
        0 => String::new(),
        line => format!(" at line {line} column {}", error.column()),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::Value;

    use super::super::read;
    use super::super::tests::pool;

    /// What is said of a JSON text in place of an `All`.
    fn said(of: &str, json: &str) -> String {
        let message = pool().get_message_by_name(&format!("test.v1.{of}")).unwrap();
        read(json.as_bytes(), &message).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_is_said_has_the_path_of_the_field_and_what_it_takes() {
        let ends = |json: &str, says: &str| {
            let said = said("All", json);
            assert!(said.starts_with(says) && said.contains("; what stands there is none at line 1 column "), "{said}");
        };
        for (json, says) in [
            (r#"{"took": "abc"}"#, "`took` takes a length of time: seconds with `s` behind them, as \"300s\""),
            (r#"{"took": "315576000001s"}"#, "`took` takes a length of time"),
            (r#"{"took": 5}"#, "`took` takes a length of time"),
            (r#"{"at": "now"}"#, "`at` takes a time of the years 1 to 9999 as RFC 3339"),
            (r#"{"doubleOne": "x"}"#, "`double_one` takes a number"),
            (r#"{"u64": -1}"#, "`u64` takes a whole number from 0 to 18446744073709551615"),
            (r#"{"i64": 1.5}"#, "`i64` takes a whole number from -9223372036854775808 to 9223372036854775807"),
            (r#"{"u32": 4294967296}"#, "`u32` takes a whole number from 0 to 4294967295"),
            (r#"{"yes": 1}"#, "`yes` takes true or false"),
            (r#"{"text": 1}"#, "`text` takes a text"),
            (r#"{"raw": "*"}"#, "`raw` takes bytes as a text in base64"),
            (r#"{"color": "BLUE"}"#, "`color` takes one of `COLOR_BELOW`, `COLOR_UNSPECIFIED`, `COLOR_RED`"),
            (r#"{"inner": {"inner": 5}}"#, "`inner.inner` takes an object"),
            (r#"{"many": 5}"#, "`many` takes a list"),
            (r#"{"many": [{}, {"texts": ["a", 5]}]}"#, "`many[1].texts[1]` takes a text"),
            (r#"{"many": [{}, 5]}"#, "`many[1]` takes an object"),
        ] {
            ends(json, says);
        }
        for json in [r#"{"map": {"secret": "secret"}}"#, r#"{"map": {"a": "secret"}}"#] {
            let said = said("Mapped", json);
            assert!(said.starts_with("`map` takes a whole number") && !said.contains("secret"), "{said}");
        }
        assert!(said("Mapped", r#"{"map": 5}"#).starts_with("`map` takes an object"));
        assert!(said("Either", r#"{"a": 5, "b": "secret"}"#).contains("multiple fields provided for oneof 'either'"));
        assert!(
            said("All", "[]").ends_with("of a `All`: an object is expected at line 1 column 2"),
            "{}",
            said("All", "[]")
        );
    }

    #[test]
    fn a_whole_number_that_a_float_may_have_made_another_one_is_refused() {
        for (field, numbers) in [
            ("u64", ["18446744073709551616", "18446744073709552000", "9007199254740993.0", "9.007199254740993e15"]),
            ("i64", ["-9223372036854775809", "9223372036854775808", "-9007199254740993.0", "1e16"]),
        ] {
            for number in numbers {
                let said = said("All", &format!("{{\"{field}\": {number}}}"));
                assert!(said.starts_with(&format!("`{field}` takes a whole number from ")), "{said}");
                assert!(said.contains(", from 2^53 on without a point or an exponent; what stands there"), "{said}");
            }
        }
        assert!(said("Mapped", r#"{"map": {"a": 1e300}}"#).starts_with("`map` takes a whole number"));
        let all = pool().get_message_by_name("test.v1.All").unwrap();
        let read = |json: &str| read(json.as_bytes(), &all).unwrap();
        let field = |json: &str, name: &str| read(json).get_field_by_name(name).unwrap().into_owned();
        assert_eq!(field(r#"{"u64": 18446744073709551615}"#, "u64"), Value::U64(u64::MAX));
        assert_eq!(field(r#"{"u64": "18446744073709551615"}"#, "u64"), Value::U64(u64::MAX));
        assert_eq!(field(r#"{"i64": -9223372036854775808}"#, "i64"), Value::I64(i64::MIN));
        assert_eq!(field(r#"{"i64": -1.5e3}"#, "i64"), Value::I64(-1_500));
        assert_eq!(field(r#"{"doubleOne": 1e300}"#, "double_one"), Value::F64(1e300));
    }

    #[test]
    fn a_field_is_given_once_by_whichever_of_its_names() {
        for (json, path) in [
            (r#"{"text": "secret", "text": "secret"}"#, "text"),
            (r#"{"doubleOne": 1, "double_one": 1}"#, "double_one"),
            (r#"{"text": null, "text": "secret"}"#, "text"),
            (r#"{"many": [{"inner": {"i32": 1, "i32": 1}}]}"#, "many[0].inner.i32"),
        ] {
            let said = said("All", json);
            assert!(said.starts_with(&format!("`{path}` is given twice at line 1 column ")), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
        let all = pool().get_message_by_name("test.v1.All").unwrap();
        assert!(read(br#"{"i32": 1, "many": [{"i32": 1}, {"i32": 1}], "inner": {"i32": 1}}"#, &all).is_ok());
    }

    #[test]
    fn a_name_that_there_is_not_is_said_with_those_that_there_are() {
        let said = said("Either", "{\"\\u0007\u{202e}c\": 1}");
        assert!(said.contains(r"`Either` has no field `\u{7}\u{202e}c` at line 1"), "{said}");
        assert!(said.ends_with("; it has `a`, `b`"), "{said}");
    }
}
