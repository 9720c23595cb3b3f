//! A `.proto` file as a tree: read from the templates, made from the schema, written as text and as descriptor.

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct File {
    /// Relative to the root of imports: `page_traffic/v1/page_traffic.proto`.
    pub(super) path: String,
    /// Comment at the top, a line each.
    pub(super) docs: Vec<String>,
    pub(super) package: String,
    /// Paths of the files it uses, sorted.
    pub(super) imports: Vec<String>,
    pub(super) options: Vec<(String, Value)>,
    pub(super) services: Vec<Service>,
    pub(super) messages: Vec<Message>,
    pub(super) enums: Vec<Enum>,
}

/// The value of a file's option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Bool(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) methods: Vec<Method>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) request: String,
    pub(super) response: String,
    /// The reply is a stream.
    pub(super) streams: bool,
    /// `idempotency_level = NO_SIDE_EFFECTS`: may be called by HTTP GET, retried and cached.
    pub(super) reads: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    /// In the order they are written.
    pub(super) fields: Vec<Field>,
    /// Numbers and names that are never used again.
    pub(super) reserved: Reserved,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reserved {
    pub(super) numbers: Vec<u32>,
    pub(super) names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) number: u32,
    pub(super) rule: Rule,
    /// As it is written: `uint64`, `Traffic`, `murmur.v1.Answer`.
    pub(super) ty: String,
    /// The name in JSON, where it is not the one that follows from the name.
    pub(super) json: Option<String>,
}

/// How often a field stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Plain,
    Optional,
    Repeated,
    /// With the type of its key.
    Map(String),
    /// A member of the message's only `oneof`.
    OneOf,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Enum {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) values: Vec<EnumValue>,
    pub(super) reserved: Reserved,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnumValue {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) number: u32,
}

/// The types that need no import and no declaration.
pub(super) const SCALARS: [&str; 15] = [
    "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "bytes", "uint32",
    "sfixed32", "sfixed64", "sint32", "sint64",
];

impl Message {
    /// The name of its `oneof`, one that no field has.
    pub(super) fn oneof(&self) -> Option<&'static str> {
        if !self.fields.iter().any(|field| field.rule == Rule::OneOf) {
            return None;
        }
        ["kind", "variant", "one_of", "the_kind"].into_iter().find(|name| self.fields.iter().all(|f| f.name != *name))
    }
}

impl File {
    /// Every text of services and messages in which a template can have blanks.
    pub(super) fn each_text(&mut self, fill: &mut impl FnMut(&mut String)) {
        for service in &mut self.services {
            fill(&mut service.name);
            for Method { name, docs, request, response, .. } in &mut service.methods {
                [name, request, response].into_iter().chain(docs).for_each(&mut *fill);
            }
        }
        for message in &mut self.messages {
            fill(&mut message.name);
            message.docs.iter_mut().for_each(&mut *fill);
            for Field { name, docs, ty, .. } in &mut message.fields {
                [name, ty].into_iter().chain(docs).for_each(&mut *fill);
            }
        }
    }

    /// The files that its types come from.
    pub(super) fn find_imports(&self) -> Vec<String> {
        let used = |ty: &str| self.messages.iter().flat_map(|message| &message.fields).any(|field| field.ty == ty);
        let ours = |ty: &str| ty.starts_with("murmur.v1.");
        let mut imports = Vec::new();
        if used("google.protobuf.Duration") {
            imports.push("google/protobuf/duration.proto".to_owned());
        }
        if used("google.protobuf.Timestamp") {
            imports.push("google/protobuf/timestamp.proto".to_owned());
        }
        if self.messages.iter().flat_map(|message| &message.fields).any(|field| ours(&field.ty)) {
            imports.push("murmur/v1/types.proto".to_owned());
        }
        imports
    }
}
