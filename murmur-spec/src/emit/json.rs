//! JSON, written: objects keep the order they are built in, so that equal contracts are equal bytes.

use std::fmt;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// A text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// A whole number that may be below zero.
    Signed(i64),
    /// True or false.
    Bool(bool),
    /// Values in order.
    List(Vec<Json>),
    /// Named values in order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An object.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Json)>) -> Self {
        Self::Object(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Indented by two spaces; compact with `{:#}`, for one value a line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = if f.alternate() { None } else { Some(0) };
        write(f, self, indent)
    }
}

fn write(f: &mut fmt::Formatter<'_>, value: &Json, indent: Option<usize>) -> fmt::Result {
    match value {
        Json::Text(text) => write_text(f, text),
        Json::Number(number) => write!(f, "{number}"),
        Json::Signed(number) => write!(f, "{number}"),
        Json::Bool(on) => write!(f, "{on}"),
        Json::List(items) => write_all(f, ('[', ']'), indent, items, write),
        Json::Object(entries) => write_all(f, ('{', '}'), indent, entries, |f, (name, value), indent| {
            write_text(f, name)?;
            f.write_str(if indent.is_some() { ": " } else { ":" })?;
            write(f, value, indent)
        }),
    }
}

fn write_all<T>(
    f: &mut fmt::Formatter<'_>,
    (open, close): (char, char),
    indent: Option<usize>,
    items: &[T],
    one: impl Fn(&mut fmt::Formatter<'_>, &T, Option<usize>) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{open}")?;
    let deeper = indent.map(|indent| indent + 2);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        if let Some(deeper) = deeper {
            write!(f, "\n{:deeper$}", "")?;
        }
        one(f, item, deeper)?;
    }
    if let (Some(indent), false) = (indent, items.is_empty()) {
        write!(f, "\n{:indent$}", "")?;
    }
    write!(f, "{close}")
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let value = Json::object([
            ("text", Json::from("a \"quoted\"\\\n\u{1} é")),
            ("empty", Json::List(Vec::new())),
            ("list", Json::List(vec![Json::Number(7), Json::Signed(-7), Json::Bool(true), Json::object::<&str>([])])),
        ]);
        let expected = serde_json::json!({"text": "a \"quoted\"\\\n\u{1} é", "empty": [], "list": [7, -7, true, {}]});
        for text in [value.to_string(), format!("{value:#}")] {
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
        }
        assert!(!format!("{value:#}").contains('\n'));
    }
}
