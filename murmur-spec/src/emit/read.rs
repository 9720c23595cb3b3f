//! Reads the `.proto` files of `proto-templates/`: the subset of protobuf that Murmur writes itself.

use super::file::{Enum, EnumValue, Field, File, Message, Method, Reserved, Rule, Service, Value};

/// What stands around the name of a blank in a template.
pub(super) const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A piece of a `.proto`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    Comment(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = if c.is_whitespace() {
            c.len_utf8()
        } else if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            let line = &rest[2..end];
            out.push(Token::Comment(line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()));
            end
        } else if c == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |at| at + 2);
            out.push(Token::Text(rest[1..end].trim_end_matches('"').to_owned()));
            end
        } else if wordy(c) || rest.starts_with(OPEN) {
            let end = word_end(rest);
            out.push(Token::Word(rest[..end].to_owned()));
            end
        } else {
            out.push(Token::Sign(c));
            c.len_utf8()
        };
        rest = &rest[taken..];
    }
    out
}

fn wordy(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// Where the word ends that `text` begins with. A blank to be filled, `{{name}}`, is part of a word.
fn word_end(text: &str) -> usize {
    let mut end = 0;
    loop {
        let rest = &text[end..];
        let taken = match rest.starts_with(OPEN) {
            true => rest.find(CLOSE).map_or(rest.len(), |at| at + CLOSE.len()),
            false => rest.find(|c| !wordy(c)).unwrap_or(rest.len()),
        };
        if taken == 0 {
            return end;
        }
        end += taken;
    }
}

/// Reads one file. What it cannot read is an error with the token that it stumbled on.
pub(super) fn read(path: &str, text: &str) -> Result<File, String> {
    let mut reader = Reader { tokens: tokens(text), at: 0 };
    let mut file = File { path: path.to_owned(), ..File::default() };
    reader.file(&mut file).map_err(|message| format!("{path}: {message}"))?;
    Ok(file)
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn docs(&mut self) -> Vec<String> {
        let mut docs = Vec::new();
        while let Some(Token::Comment(line)) = self.tokens.get(self.at) {
            docs.push(line.clone());
            self.at += 1;
        }
        docs
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("the file ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Word(word) => Ok(word),
            other => Err(format!("a word is missing at {other:?}")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Text(text) => Ok(text),
            other => Err(format!("a text is missing at {other:?}")),
        }
    }

    fn number(&mut self) -> Result<u32, String> {
        let word = self.word()?;
        word.parse().map_err(|_| format!("`{word}` is not a number"))
    }

    fn sign(&mut self, sign: char) -> Result<(), String> {
        match self.next()? {
            Token::Sign(found) if found == sign => Ok(()),
            other => Err(format!("`{sign}` is missing at {other:?}")),
        }
    }

    fn has_sign(&mut self, sign: char) -> bool {
        let has = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(has);
        has
    }

    fn file(&mut self, file: &mut File) -> Result<(), String> {
        loop {
            let docs = self.docs();
            if self.at == self.tokens.len() {
                return Ok(());
            }
            match self.word()?.as_str() {
                "syntax" => {
                    file.docs = docs;
                    self.sign('=')?;
                    self.text()?;
                    self.sign(';')?;
                }
                "package" => {
                    file.package = self.word()?;
                    self.sign(';')?;
                }
                "import" => {
                    let path = self.text()?;
                    file.imports.push(path);
                    self.sign(';')?;
                }
                "option" => {
                    let name = self.word()?;
                    self.sign('=')?;
                    let value = match self.next()? {
                        Token::Text(text) => Value::Text(text),
                        token => Value::Bool(token == Token::Word("true".into())),
                    };
                    file.options.push((name, value));
                    self.sign(';')?;
                }
                "service" => file.services.push(self.service(docs)?),
                "message" => file.messages.push(self.message(docs)?),
                "enum" => file.enums.push(self.enumeration(docs)?),
                other => return Err(format!("`{other}` is not known in a file")),
            }
        }
    }

    fn service(&mut self, docs: Vec<String>) -> Result<Service, String> {
        let mut service = Service { name: self.word()?, docs, methods: Vec::new() };
        self.sign('{')?;
        loop {
            let docs = self.docs();
            if self.has_sign('}') {
                return Ok(service);
            }
            match self.word()?.as_str() {
                "rpc" => service.methods.push(self.method(docs)?),
                other => return Err(format!("`{other}` is not known in a service")),
            }
        }
    }

    fn method(&mut self, docs: Vec<String>) -> Result<Method, String> {
        let name = self.word()?;
        self.sign('(')?;
        let request = self.word()?;
        self.sign(')')?;
        self.word()?;
        self.sign('(')?;
        let mut response = self.word()?;
        let streams = response == "stream";
        if streams {
            response = self.word()?;
        }
        self.sign(')')?;
        let reads = self.has_sign('{');
        if reads {
            for word in ["option", "idempotency_level", "=", "NO_SIDE_EFFECTS", ";", "}"] {
                match self.next()? {
                    Token::Word(found) if found == word => {}
                    Token::Sign(found) if word.starts_with(found) => {}
                    other => return Err(format!("`{word}` is missing at {other:?}")),
                }
            }
        } else {
            self.sign(';')?;
        }
        Ok(Method { name, docs, request, response, streams, reads })
    }

    fn message(&mut self, docs: Vec<String>) -> Result<Message, String> {
        let mut message = Message { name: self.word()?, docs, fields: Vec::new(), reserved: Reserved::default() };
        self.sign('{')?;
        loop {
            let docs = self.docs();
            if self.has_sign('}') {
                return Ok(message);
            }
            let first = self.word()?;
            let (rule, ty) = match first.as_str() {
                "optional" => (Rule::Optional, self.word()?),
                "repeated" => (Rule::Repeated, self.word()?),
                _ => (Rule::Plain, first),
            };
            let name = self.word()?;
            self.sign('=')?;
            let number = self.number()?;
            self.sign(';')?;
            message.fields.push(Field { name, docs, number, rule, ty, json: None });
        }
    }

    fn enumeration(&mut self, docs: Vec<String>) -> Result<Enum, String> {
        let mut item = Enum { name: self.word()?, docs, ..Enum::default() };
        self.sign('{')?;
        loop {
            let docs = self.docs();
            if self.has_sign('}') {
                return Ok(item);
            }
            let name = self.word()?;
            self.sign('=')?;
            let number = self.number()?;
            self.sign(';')?;
            item.values.push(EnumValue { name, docs, number });
        }
    }
}
