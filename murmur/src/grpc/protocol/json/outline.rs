//! What is said of JSON that is not what its message takes.

use serde_json::error::Category;

/// What an error says, without the value that it quotes: that may be of a key. A name that no field has is said, which is how a slip
/// of the pen is found.
pub(in crate::grpc::protocol) fn outline(error: &serde_json::Error) -> String {
    let said = error.to_string();
    if error.classify() != Category::Data || said.starts_with("unrecognized field name ") {
        // Of a text that is no JSON nothing is quoted.
        return said;
    }
    let at = match error.line() {
        0 => String::new(),
        line => format!(" at line {line} column {}", error.column()),
    };
    let bare = said.strip_suffix(&at).unwrap_or(&said);
    // The last of these words are serde's own, and what stands behind them is the program's.
    let is_of_serde = ["invalid type: ", "invalid value: ", "invalid length "].iter().any(|own| bare.starts_with(own));
    match bare.rsplit_once(", expected ").filter(|_| is_of_serde) {
        Some((_, expected)) => format!("a value is not what its field takes, expected {expected}{at}"),
        None => format!("a value is not what its field takes{at}"),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::Error;

    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(try_from = "String")]
    struct Card;

    impl TryFrom<String> for Card {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            Err(text)
        }
    }

    #[test]
    fn what_is_said_has_no_value_and_says_where_and_what_was_expected() {
        let number = |text| outline(&serde_json::from_str::<u32>(text).unwrap_err());
        assert_eq!(number(r#""secret""#), "a value is not what its field takes, expected u32 at line 1 column 8");
        assert_eq!(
            number(r#"", expected secret""#),
            "a value is not what its field takes, expected u32 at line 1 column 19"
        );
        assert_eq!(number("-41"), "a value is not what its field takes, expected u32 at line 1 column 3");
        assert_eq!(number("secret"), "expected value at line 1 column 1");
        let card = |text| outline(&serde_json::from_str::<Card>(text).unwrap_err());
        for text in [r#""secret""#, r#""the secret, expected secret""#] {
            assert!(card(text).starts_with("a value is not what its field takes"), "{}", card(text));
            assert!(!card(text).contains("secret"), "{}", card(text));
        }
        assert_eq!(outline(&serde_json::Error::custom("secret")), "a value is not what its field takes");
        let unknown = outline(&serde_json::Error::custom("unrecognized field name 'kye'"));
        assert_eq!(unknown, "unrecognized field name 'kye'");
    }
}
