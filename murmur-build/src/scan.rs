//! Reads the `mod` declarations of a file without parsing it.
//!
//! Most files of a crate never mention the runtime. Parsing them would cost a large crate seconds in a debug build
//! script; looking at their characters costs milliseconds.

use syn::ItemMod;

/// The modules that a file declares at its top, in other files. `None` when only a parser can tell: when there are
/// such declarations inside braces.
pub(crate) fn modules(text: &str) -> Option<Vec<ItemMod>> {
    let mut scan = Scan { rest: text, text };
    let mut found = Vec::new();
    let mut depth = 0usize;
    // Where the attributes and the visibility of the current item begin.
    let mut start = None;
    while let Some(token) = scan.next() {
        match token {
            Token::Open => depth += 1,
            Token::Close => {
                depth = depth.saturating_sub(1);
                start = None;
            }
            Token::Semicolon => start = None,
            Token::Word("mod", at) => {
                let before = scan.rest;
                let declared =
                    matches!(scan.next(), Some(Token::Word(..))) && matches!(scan.next(), Some(Token::Semicolon));
                if declared && depth > 0 {
                    return None;
                }
                if declared {
                    let end = text.len() - scan.rest.len();
                    // What does not parse is not ours to report.
                    found.extend(syn::parse_str::<ItemMod>(&text[start.unwrap_or(at)..end]).ok());
                    start = None;
                } else {
                    scan.rest = before;
                }
            }
            Token::Word(_, at) | Token::Attribute(at) => start = start.or(Some(at)),
            Token::Other => {}
        }
    }
    Some(found)
}

enum Token<'a> {
    Word(&'a str, usize),
    Attribute(usize),
    Open,
    Close,
    Semicolon,
    Other,
}

struct Scan<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.skip(end);
            } else if self.rest.starts_with("/*") {
                self.comment();
            } else {
                break;
            }
        }
        let at = self.text.len() - self.rest.len();
        let first = self.rest.chars().next()?;
        if first == '"' {
            self.string(1);
            return Some(Token::Other);
        }
        if first == '\'' {
            self.quote();
            return Some(Token::Other);
        }
        if first.is_alphabetic() || first == '_' {
            return Some(self.word(at));
        }
        self.skip(first.len_utf8());
        Some(match first {
            '{' => Token::Open,
            '}' => Token::Close,
            ';' => Token::Semicolon,
            // An inner attribute, `#![...]`, belongs to the file and to no item.
            '#' if self.rest.starts_with("![") => {
                self.skip(1);
                self.brackets();
                Token::Other
            }
            '#' if self.rest.starts_with('[') => {
                self.brackets();
                Token::Attribute(at)
            }
            _ => Token::Other,
        })
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn word(&mut self, at: usize) -> Token<'a> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.skip(end);
        // `r"..."`, `r#"..."#`, `b"..."`, `c"..."` and their raw forms.
        let hashes = self.rest.len() - self.rest.trim_start_matches('#').len();
        let raw = matches!(word, "r" | "br" | "cr");
        if raw && self.rest[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let end = self.rest[hashes + 1..].find(&close).map_or(self.rest.len(), |at| hashes + 1 + at + close.len());
            self.skip(end);
            return Token::Other;
        }
        if word == "r" && hashes == 1 {
            // `r#type`
            self.skip(1);
            return self.word(at);
        }
        if matches!(word, "b" | "c") && self.rest.starts_with('"') {
            self.string(1);
            return Token::Other;
        }
        if word == "b" && self.rest.starts_with('\'') {
            self.quote();
            return Token::Other;
        }
        Token::Word(word, at)
    }

    fn string(&mut self, mut at: usize) {
        let bytes = self.rest.as_bytes();
        while at < bytes.len() && bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        self.skip(at + 1);
    }

    /// A character or a lifetime.
    fn quote(&mut self) {
        let inner = &self.rest[1..];
        let mut chars = inner.chars();
        match (chars.next(), chars.next()) {
            (Some('\\'), Some(escaped)) => {
                let from = 1 + escaped.len_utf8();
                let end = inner[from..].find('\'').map_or(inner.len(), |at| from + at + 1);
                self.skip(1 + end);
            }
            (Some(c), Some('\'')) => self.skip(2 + c.len_utf8()),
            _ => self.skip(1),
        }
    }

    fn comment(&mut self) {
        let mut depth = 0;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.skip(self.rest.chars().next().map_or(1, char::len_utf8));
            }
        }
    }

    /// The brackets of an attribute, with everything in them.
    fn brackets(&mut self) {
        let mut depth = 0usize;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if c == '"' {
                self.string(1);
                continue;
            }
            self.skip(c.len_utf8());
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        Some(modules(text)?.iter().map(|module| module.to_token_stream().to_string()).collect())
    }

    #[test]
    fn declarations_are_found_with_their_attributes() {
        let text = r##"
            #![allow(dead_code)]
            //! mod commented;
            use std::fmt;
            /* mod commented; /* nested */ */
            mod a;
            pub(crate) mod b;
            #[cfg(unix)]
            #[path = "other]\".rs"]
            pub mod c;
            const S: &str = "mod in_text;";
            const R: &str = r#"mod "in" raw;"#;
            const C: char = '"';
            fn life<'a>(x: &'a str) -> char { '\'' }
            mod inline { fn f() {} }
            struct r#mod;
            mod d;
        "##;
        let expected =
            ["mod a ;", "pub (crate) mod b ;", "# [cfg (unix)] # [path = \"other]\\\".rs\"] pub mod c ;", "mod d ;"];
        assert_eq!(shown(text), Some(expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn declarations_inside_braces_need_the_parser() {
        assert_eq!(shown("mod outer { mod inner; }"), None);
        assert_eq!(shown("mod outer { mod inner {} }"), Some(vec![]));
    }

    #[test]
    fn unfinished_text_is_no_panic() {
        for text in ["mod", "mod a", "\"", "r#\"", "'", "'\\", "/*", "#[", "b'", "}", "é'é", "r#", "'a"] {
            modules(text);
        }
    }
}
