//! One annotated item, read on its own: what a macro sees.

use proc_macro2::{Ident, TokenStream};

use crate::aggregate::{self, Aggregate};
use crate::attr::{CratePath, text};
use crate::ctxt::{At, Ctxt};
use crate::event::{self, Event};
use crate::model::Monoid;
use crate::names;
use crate::pipeline::{self, Keeps, Pipeline, Source};
use crate::value::{self, Holds, Shape, Value};

/// Which attribute stands above an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `#[murmur::event]`
    Event,
    /// `#[murmur::value]`
    Value,
    /// `#[murmur::aggregate]`
    Aggregate,
    /// `#[murmur::pipeline]`
    Pipeline,
}

impl Marker {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Event, Self::Value, Self::Aggregate, Self::Pipeline];

    /// The attribute's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Value => "value",
            Self::Aggregate => "aggregate",
            Self::Pipeline => "pipeline",
        }
    }
}

/// An annotated item, with the user's tokens.
#[derive(Clone)]
pub enum Item {
    /// `#[murmur::event]`
    Event(Event),
    /// `#[murmur::value]`
    Value(Value),
    /// `#[murmur::aggregate]`
    Aggregate(Aggregate),
    /// `#[murmur::pipeline]`
    Pipeline(Pipeline),
}

/// Read one item. `None` when there were findings.
///
/// `arguments` is what stands in the attribute's parentheses, `item` what stands below it.
pub fn parse(marker: Marker, arguments: TokenStream, item: TokenStream, ctxt: &Ctxt) -> Option<Item> {
    let before = ctxt.len();
    let item = match marker {
        Marker::Event => event::parse(arguments, item, ctxt).map(Item::Event),
        Marker::Value => value::parse(arguments, item, ctxt).map(Item::Value),
        Marker::Aggregate => aggregate::parse(arguments, item, ctxt).map(Item::Aggregate),
        Marker::Pipeline => pipeline::parse(arguments, item, ctxt).map(Item::Pipeline),
    };
    item.filter(|_| ctxt.len() == before)
}

impl Item {
    /// The name of the struct, enum or function: its identity within the crate.
    pub fn ident(&self) -> &Ident {
        match self {
            Self::Event(event) => &event.ident,
            Self::Value(value) => &value.ident,
            Self::Aggregate(aggregate) => &aggregate.ident,
            Self::Pipeline(pipeline) => &pipeline.ident,
        }
    }

    /// The same as text, without `r#`.
    pub fn name(&self) -> String {
        text(self.ident())
    }

    /// `crate = path`, or `::murmur`.
    pub fn krate(&self) -> &CratePath {
        match self {
            Self::Event(event) => &event.krate,
            Self::Value(value) => &value.krate,
            Self::Aggregate(aggregate) => &aggregate.krate,
            Self::Pipeline(pipeline) => &pipeline.krate,
        }
    }

    /// The event that it declares: its own, or that of a pipeline's struct.
    pub fn event(&self) -> Option<&Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Pipeline(Pipeline { source: Source::Struct(event), .. }) => Some(event),
            _ => None,
        }
    }

    /// The aggregates that are written in it, each with its part.
    pub fn aggregates(&self) -> Vec<(&Monoid, Part)> {
        let fields = match self {
            Self::Aggregate(aggregate) => aggregate.fields.as_slice(),
            Self::Pipeline(pipeline) => pipeline.members(),
            Self::Event(_) | Self::Value(_) => &[],
        };
        let fields = fields.iter().map(|field| (&field.monoid, Part::Type(text(&field.ident))));
        let single = match self {
            Self::Pipeline(Pipeline { source: Source::Function(function), .. }) => match &function.keeps {
                Keeps::One(monoid) => Some((monoid, Part::Output)),
                Keeps::Tuple(_) => None,
            },
            _ => None,
        };
        fields.chain(single).collect()
    }

    /// Where a part of it stands; the item's name when it has no such part.
    pub fn at(&self, part: &Part) -> At {
        self.place(part).unwrap_or_else(|| At::of(self.ident()))
    }

    fn place(&self, part: &Part) -> Option<At> {
        match (part, self) {
            (Part::Item, _) => None,
            (Part::Field(name), Self::Aggregate(aggregate)) => {
                aggregate.fields.iter().find(|f| text(&f.ident) == *name).map(|f| At::of(&f.ident))
            }
            (Part::Type(name), Self::Aggregate(aggregate)) => {
                aggregate.fields.iter().find(|f| text(&f.ident) == *name).map(|f| At::of(&f.ty))
            }
            (Part::Field(name) | Part::Type(name), Self::Value(value)) => {
                value_place(value, name, matches!(part, Part::Type(_)))
            }
            (Part::Type(name), Self::Pipeline(pipeline)) if !pipeline.members().is_empty() => {
                pipeline.members().iter().find(|f| text(&f.ident) == *name).map(|f| At::of(&f.ty))
            }
            (Part::Field(name), _) => {
                let field = self.event()?.fields.iter().find(|f| text(&f.ident) == *name)?;
                Some(At::of(&field.ident))
            }
            (Part::Type(name), _) => {
                let field = self.event()?.fields.iter().find(|f| text(&f.ident) == *name)?;
                Some(At::of(&field.ty))
            }
            (Part::Total(name), Self::Pipeline(pipeline)) => {
                let mut members = pipeline.members().iter();
                let totals = self.event().into_iter().flat_map(|event| &event.fields).flat_map(|field| &field.totals);
                let mut totals = totals.filter(|total| total.name == *name).map(|total| At::of(&total.key));
                members
                    .find(|member| text(&member.ident) == *name)
                    .map(|member| At::of(&member.ident))
                    .or(totals.next())
            }
            (Part::Key(name), Self::Pipeline(pipeline)) => {
                pipeline.key.iter().find(|key| text(key) == *name).map(At::of)
            }
            (Part::Dedup(name), Self::Pipeline(pipeline)) => {
                pipeline.dedup.as_ref()?.identity.iter().find(|field| text(field) == *name).map(At::of)
            }
            (Part::Name, Self::Pipeline(pipeline)) => Some(pipeline.name_at),
            (Part::Window, Self::Pipeline(pipeline)) => pipeline.window_at,
            (Part::Package, Self::Pipeline(pipeline)) => pipeline.package.at(),
            (Part::Event, Self::Pipeline(Pipeline { source: Source::Function(function), .. })) => {
                Some(At::of(&function.event))
            }
            (Part::Output, Self::Pipeline(Pipeline { source: Source::Function(function), .. })) => {
                Some(At::of(&function.output))
            }
            _ => None,
        }
    }
}

fn value_place(value: &Value, name: &str, of_type: bool) -> Option<At> {
    let field = |fields: &[event::Field]| {
        let field = fields.iter().find(|field| text(&field.ident) == name)?;
        Some(if of_type { At::of(&field.ty) } else { At::of(&field.ident) })
    };
    match &value.shape {
        Shape::Newtype(ty, _) => Some(At::of(ty)),
        Shape::Message(fields) => field(fields),
        Shape::Enum(variants) | Shape::OneOf(variants) => variants.iter().find_map(|variant| match &variant.holds {
            _ if !is_called(&variant.ident, name) => match &variant.holds {
                Holds::Fields(fields) => field(fields),
                _ => None,
            },
            Holds::One(ty, _) if of_type => Some(At::of(ty)),
            _ => Some(At::of(&variant.ident)),
        }),
    }
}

/// The contract knows the variants of a `oneof` as fields: `RefundIssued` as `refund_issued`.
fn is_called(variant: &Ident, name: &str) -> bool {
    let own = text(variant);
    own == name || names::snake(&own) == name
}

/// A part of an item that a finding of the build step can point at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The item as a whole: its name.
    Item,
    /// A field, or a variant: its name.
    Field(String),
    /// The type of a field.
    Type(String),
    /// An aggregate said on a field of a pipeline's struct, or the name of what its function returns in a tuple: by the
    /// name it has in the reply.
    Total(String),
    /// A field of a pipeline's key.
    Key(String),
    /// A field of the identity of a pipeline's events.
    Dedup(String),
    /// The name of a pipeline.
    Name,
    /// The window of a pipeline.
    Window,
    /// `package = "..."`.
    Package,
    /// The event in a pipeline's signature.
    Event,
    /// The aggregate in a pipeline's signature.
    Output,
}

impl Part {
    /// As a word: `field:page_id`.
    pub fn to_word(&self) -> String {
        match self {
            Self::Item => "item".into(),
            Self::Field(name) => format!("field:{name}"),
            Self::Type(name) => format!("type:{name}"),
            Self::Total(name) => format!("total:{name}"),
            Self::Key(name) => format!("key:{name}"),
            Self::Dedup(name) => format!("dedup:{name}"),
            Self::Name => "name".into(),
            Self::Window => "window".into(),
            Self::Package => "package".into(),
            Self::Event => "event".into(),
            Self::Output => "output".into(),
        }
    }

    /// From a word.
    pub fn from_word(word: &str) -> Option<Self> {
        let (word, name) = word.split_once(':').unwrap_or((word, ""));
        let name = || name.to_owned();
        Some(match word {
            "item" => Self::Item,
            "field" => Self::Field(name()),
            "type" => Self::Type(name()),
            "total" => Self::Total(name()),
            "key" => Self::Key(name()),
            "dedup" => Self::Dedup(name()),
            "name" => Self::Name,
            "window" => Self::Window,
            "package" => Self::Package,
            "event" => Self::Event,
            "output" => Self::Output,
            _ => return None,
        })
    }
}
