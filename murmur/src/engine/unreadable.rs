use std::borrow::Cow;
use std::fmt;

/// Why a payload is no event.
///
/// In full, as its dead letter has it, this may quote the payload. What is shown of it, and so what logs and errors say,
/// may not.
#[derive(Clone, PartialEq, Eq)]
pub struct Unreadable {
    outline: Cow<'static, str>,
    full: String,
}

impl Unreadable {
    /// In full, and what of it has nothing of the payload.
    pub fn new(full: impl Into<String>, outline: impl Into<Cow<'static, str>>) -> Self {
        Self { outline: outline.into(), full: full.into() }
    }

    /// A reason that has nothing of the payload.
    pub fn plain(reason: impl Into<String>) -> Self {
        let full = reason.into();
        Self { outline: full.clone().into(), full }
    }

    /// What serde says of a value that is not what `event` has there. Of its words, only the name of a field that is
    /// missing is sure to be no part of the payload.
    pub(super) fn by_serde(event: &str, fields: &[&str], said: &dyn fmt::Display) -> Self {
        let said = said.to_string();
        let is_missing = |field: &&str| said == format!("missing field `{field}`");
        let outline = match fields.iter().find(|field| is_missing(field)) {
            Some(_) => said.as_str(),
            None => "a value is not what its field takes",
        };
        Self { outline: format!("not a `{event}`: {outline}").into(), full: format!("not a `{event}`: {said}") }
    }

    /// What serde says of a text, which it has read up to a place that it names.
    pub(super) fn by_serde_json(event: &str, fields: &[&str], error: &serde_json::Error) -> Self {
        let full = format!("not a `{event}` in JSON: {error}");
        if error.classify() != serde_json::error::Category::Data {
            // It is no JSON: of such texts nothing is quoted.
            return Self::plain(full);
        }
        let at = format!(" at line {} column {}", error.line(), error.column());
        let said = error.to_string();
        let of_value = Self::by_serde(event, fields, &said.strip_suffix(&at).unwrap_or(&said));
        Self { outline: format!("{}, in JSON{at}", of_value.outline).into(), full }
    }

    /// What the dead letter says.
    pub fn into_full(self) -> String {
        self.full
    }
}

/// Of a format that says no more: all of it may be the payload's.
impl From<String> for Unreadable {
    fn from(full: String) -> Self {
        Self::new(full, "its format does not read it")
    }
}

/// As from a `String`.
impl From<&str> for Unreadable {
    fn from(full: &str) -> Self {
        full.to_owned().into()
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.outline)
    }
}

impl fmt::Debug for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Payment {
        cents: u64,
        card: Card,
    }

    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Card;

    impl TryFrom<String> for Card {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            Err(text)
        }
    }

    fn refused(text: &str) -> Unreadable {
        let error = serde_json::from_str::<Payment>(text).err().unwrap();
        Unreadable::by_serde_json("Payment", &["cents", "card"], &error)
    }

    #[test]
    fn what_is_shown_has_nothing_of_the_payload_and_the_letter_has_all() {
        for (text, shown, full) in [
            (r#"{"cents":"secret"}"#, "a value is not what its field takes, in JSON at line 1 column 17", "\"secret\""),
            (r#"{"cents":4111}"#, "missing field `card`, in JSON at line 1 column 14", "missing field `card`"),
            (r#"{"card":"secret"}"#, "a value is not what its field takes, in JSON at line 1 column ", "secret"),
            (r#"{"card":"missing field `secret`"}"#, "a value is not what its field takes", "`secret`"),
            ("secret", "not a `Payment` in JSON: expected value at line 1 column 1", "expected value"),
        ] {
            let refused = refused(text);
            for shown_as in [refused.to_string(), format!("{refused:?}")] {
                assert!(shown_as.contains(shown) && !shown_as.contains("secret"), "{text}: {shown_as}");
                assert!(!shown_as.contains("4111"), "{shown_as}");
            }
            assert!(refused.into_full().contains(full), "{text}");
        }
        let own = Unreadable::from("the card 4111");
        assert_eq!(
            (own.to_string().as_str(), own.into_full().as_str()),
            ("its format does not read it", "the card 4111")
        );
    }
}
