//! What the macros make stands in any surroundings: without the prelude, beside names like its own, under another name
//! of the crate.

#![allow(missing_docs, dead_code, unreachable_pub, reason = "definitions of a test")]

/// The crate under a name of the user's.
mod vendored {
    pub(crate) use ::murmur as stream;
}

#[no_implicit_prelude]
mod without_prelude {
    use super::vendored::stream;

    // Names that a careless expansion would pick up.
    pub trait Clone {}
    pub trait Default {}
    pub trait Event {}
    pub trait Monoid {}
    pub struct Result;
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Timestamp;
    pub struct Vec;
    pub struct Box;
    pub mod core {}
    pub mod std {}
    pub mod murmur {}
    pub fn event() {}
    pub fn value() {}
    pub fn out() {}

    #[stream::event(crate = super::vendored::stream)]
    pub struct View {
        pub r#type: ::std::string::String,
        pub r#fn: ::core::option::Option<u64>,
        pub list: ::std::vec::Vec<Kind>,
        #[murmur(as = "string")]
        pub address: ::std::boxed::Box<::std::net::IpAddr>,
        #[murmur(time)]
        pub at: stream::time::Timestamp,
    }

    #[stream::event(crate = super::vendored::stream)]
    pub struct Beside {
        #[murmur(header = "fn")]
        pub r#fn: ::std::string::String,
        #[murmur(record_key)]
        pub envelope: ::core::option::Option<::std::vec::Vec<u8>>,
        #[murmur(time, broker_time)]
        pub at: stream::time::Timestamp,
    }

    #[stream::value(crate = super::vendored::stream)]
    pub enum Kind {
        Some(u64),
        None,
    }

    #[stream::aggregate(crate = super::vendored::stream)]
    pub struct Traffic {
        pub r#type: stream::aggregate::Count,
        pub max: stream::aggregate::Max<u64>,
    }

    #[stream::pipeline(key = r#type, window = sliding("1d", slot = "1h"), crate = super::vendored::stream)]
    pub fn traffics(view: &View) -> ::core::option::Option<Traffic> {
        ::core::option::Option::Some(Traffic {
            r#type: stream::aggregate::Count::one(),
            max: stream::aggregate::Max::of(view.r#fn),
        })
    }

    #[stream::pipeline(key = out, rollup = [out, ()], crate = super::vendored::stream)]
    fn event_of(event: &View) -> [(::std::string::String, stream::aggregate::Count); 1] {
        [(::core::clone::Clone::clone(&event.r#type), stream::aggregate::Count::one())]
    }

    #[stream::pipeline(name = "likes", crate = super::vendored::stream)]
    pub struct Like {
        #[murmur(key)]
        pub r#type: u16,
        #[murmur(time)]
        pub at: ::std::time::SystemTime,
        #[murmur(first, distinct)]
        pub r#move: ::core::option::Option<::std::string::String>,
    }
}

/// Definitions in a function: nothing may be expected of the module around.
#[test]
fn definitions_work_inside_a_function() {
    #[murmur::event]
    struct View {
        page_id: String,
    }

    #[murmur::pipeline(key = page_id)]
    fn views(_: &View) -> murmur::aggregate::Count {
        murmur::aggregate::Count::one()
    }

    let mut out = murmur::pipeline::Emissions::default();
    <Views as murmur::pipeline::Pipeline>::apply(&View { page_id: "a".into() }, &mut out);
    assert_eq!(out.drain().map(|(key, _)| key.to_owned()).collect::<Vec<_>>(), ["=a"]);
}

#[test]
fn raw_names_lose_their_prefix_in_contracts() {
    use murmur::event::Event;
    use murmur::key::Key;
    assert_eq!(without_prelude::View::FIELDS, ["type", "fn", "list", "address", "at"]);
    assert_eq!(without_prelude::Beside::BESIDE[0].name, "fn");
    assert_eq!(without_prelude::TrafficsKey::FIELDS, ["type"]);
    assert_eq!(without_prelude::LikesKey::FIELDS, ["type"]);
}
