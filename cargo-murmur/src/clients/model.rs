//! What templates can say of a package and its pipelines.

use murmur_build::Report;
use murmur_spec::emit::{self, Client};
use murmur_spec::schema::{self, Schema, Shape, Type};
use murmur_spec::{names, schema::Cardinality};

use super::files::Made;
use super::template::{Blanks, fill};

/// A package whose pipelines are asked.
pub(super) struct Package {
    /// Its name in `Cargo.toml`: `page-traffic`.
    pub(super) name: String,
    /// `page_traffic.v1`.
    pub(super) package: String,
    /// The file of its messages without its end: `page_traffic`.
    pub(super) file: String,
    pub(super) about: murmur_build::About,
    pub(super) services: Vec<Service>,
    /// What protobuf's generators read.
    pub(super) client: Client,
}

/// A pipeline.
pub(super) struct Service {
    /// `PageTraffic`.
    pub(super) name: String,
    /// `PageTrafficService`, `PageTrafficKey`, `PageTrafficEntry`.
    pub(super) service: String,
    pub(super) key: String,
    pub(super) entry: String,
    pub(super) docs: Vec<String>,
    pub(super) key_fields: Vec<Field>,
    pub(super) value: Vec<Field>,
    /// The contract that the client is made from: `1-4e1c0fd0a1a3c0b7`.
    pub(super) contract: String,
}

/// A field of a key or value.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    pub(super) shape: Shape,
    /// Of an enum: the name of a value that can be given.
    pub(super) value: Option<String>,
}

impl Package {
    pub(super) fn of(report: &Report) -> Self {
        let (schema, name) = (&report.review.schema, &report.project.name);
        let contracts = emit::contracts(&report.review);
        let contract = |service: &str| contracts.iter().find(|(name, _)| name == service).map(|(_, said)| said.clone());
        let services = schema.services.iter().map(|service| Service {
            name: names::marker(&service.pipeline),
            service: service.name.clone(),
            key: service.key.clone(),
            entry: names::entry(&service.pipeline),
            docs: service.docs.clone(),
            key_fields: fields(schema, &service.key),
            value: fields(schema, service.value.ty.name()),
            contract: contract(&service.name).unwrap_or_default(),
        });
        Self {
            name: name.clone(),
            package: schema.package.clone(),
            file: names::crate_name(name),
            about: report.project.about.clone(),
            services: services.collect(),
            client: Client::of(&report.review, name),
        }
    }

    /// The folder of its messages: `page_traffic/v1`.
    pub(super) fn folder(&self) -> String {
        self.package.replace('.', "/")
    }

    /// What the package is about, in a sentence.
    pub(super) fn sentence(&self) -> String {
        format!("Asks the pipelines of {}", self.name)
    }

    /// The `.proto` files below a folder.
    pub(super) fn protos(&self, folder: &str) -> impl Iterator<Item = Made> {
        let protos = self.client.protos().into_iter();
        protos.map(move |proto| Made { path: format!("{folder}/{}", proto.path), text: proto.text })
    }

    /// The `.proto` of what is read of the details of errors, for languages whose libraries of gRPC do not bring it.
    pub(super) fn refused(&self, folder: &str) -> Made {
        let path = format!("{folder}/{}/murmur/refused.proto", self.folder());
        Made { path, text: fill(include_str!("../../clients/refused.proto.in"), &self.blanks(), &[]) }
    }

    /// The blanks that every language has.
    pub(super) fn blanks(&self) -> Blanks {
        let murmur_build::About { version, license, repository } = self.about.clone();
        Blanks::from([
            ("crate", self.name.clone()),
            ("package", self.package.clone()),
            ("folder", self.folder()),
            ("file", self.file.clone()),
            ("about", self.sentence()),
            ("version", if version.is_empty() { "0.0.0".into() } else { version }),
            ("license", license),
            ("repository", repository),
            ("murmur", env!("CARGO_PKG_VERSION").into()),
        ])
    }
}

impl Service {
    /// The blanks that every language has. `docs` is how it writes a comment, `example` its literals.
    pub(super) fn blanks(&self, docs: impl Fn(&str) -> String, key: String) -> Blanks {
        Blanks::from([
            ("name", self.name.clone()),
            ("service", self.service.clone()),
            ("key", self.key.clone()),
            ("entry", self.entry.clone()),
            ("contract", self.contract.clone()),
            ("docs", self.docs.iter().map(|line| docs(line) + "\n").collect()),
            ("example", key),
        ])
    }
}

fn fields(schema: &Schema, message: &str) -> Vec<Field> {
    let message = schema.messages.iter().find(|known| known.name == message);
    let field = |field: &schema::Field| Field {
        name: field.name.clone(),
        docs: field.docs.clone(),
        shape: field.shape.clone(),
        value: schema
            .enums
            .iter()
            .find(|known| known.name == field.shape.ty.name())
            .and_then(|known| Some(known.values.first()?.name.clone())),
    };
    message.iter().flat_map(|message| &message.fields).map(field).collect()
}

impl Field {
    /// Whether it is a scalar that is always there.
    pub(super) fn is_plain(&self) -> bool {
        self.shape.cardinality == Cardinality::Plain && matches!(self.shape.ty, Type::Scalar(_))
    }

    /// Whether an example can say it in a word.
    pub(super) fn is_simple(&self) -> bool {
        let once = matches!(self.shape.cardinality, Cardinality::Plain | Cardinality::Optional);
        once && matches!(self.shape.ty, Type::Scalar(_) | Type::Enum(_))
    }
}
