#[derive(Clone, serde::Deserialize)]
pub struct View {
    pub page: String,
    #[serde(rename = "trace")]
    #[serde(skip)]
    pub trace: Vec<u8>,
    #[serde(skip)]
    pub retries: Option<u32>,
    #[serde(skip)]
    pub user: String,
    #[serde(skip)]
    pub at: Timestamp,
}
impl ::murmur::event::Event for View {
    const NAME: &'static ::core::primitive::str = "View";
    const FIELDS: &'static [&'static ::core::primitive::str] = &[
        "page",
        "trace",
        "retries",
        "user",
        "at",
    ];
    const BESIDE: &'static [::murmur::event::BesideField] = &[
        ::murmur::event::BesideField {
            name: "trace",
            place: ::murmur::event::Place::Header("trace-id"),
            required: true,
        },
        ::murmur::event::BesideField {
            name: "retries",
            place: ::murmur::event::Place::Header("retries"),
            required: false,
        },
        ::murmur::event::BesideField {
            name: "user",
            place: ::murmur::event::Place::RecordKey,
            required: true,
        },
        ::murmur::event::BesideField {
            name: "at",
            place: ::murmur::event::Place::BrokerTime,
            required: true,
        },
    ];
    fn fill(
        &mut self,
        envelope: &::murmur::source::Envelope<'_>,
    ) -> ::core::result::Result<(), ::std::string::String> {
        self.trace = <Self as ::murmur::event::Event>::BESIDE[0usize]
            .read(envelope)?
            .ok_or_else(|| {
                <Self as ::murmur::event::Event>::BESIDE[0usize].missing(envelope)
            })?;
        self.retries = <Self as ::murmur::event::Event>::BESIDE[1usize].read(envelope)?;
        self.user = <Self as ::murmur::event::Event>::BESIDE[2usize]
            .read(envelope)?
            .ok_or_else(|| {
                <Self as ::murmur::event::Event>::BESIDE[2usize].missing(envelope)
            })?;
        self.at = <Self as ::murmur::event::Event>::BESIDE[3usize]
            .time(envelope)
            .ok_or_else(|| {
                <Self as ::murmur::event::Event>::BESIDE[3usize].missing(envelope)
            })?;
        ::core::result::Result::Ok(())
    }
    fn time(&self) -> ::core::option::Option<::murmur::time::Timestamp> {
        ::core::option::Option::Some(::murmur::event::Instant::instant(&self.at))
    }
}
impl ::murmur::event::Timed for View {}
impl ::murmur::event::Field<255344043153000726u64> for View {
    type Type = String;
    type Read = ::std::string::String;
    fn get(&self) -> &String {
        &self.page
    }
}
impl ::murmur::event::Field<16052410885937535726u64> for View {
    type Type = Vec<u8>;
    type Read = ::std::vec::Vec<::core::primitive::u8>;
    fn get(&self) -> &Vec<u8> {
        &self.trace
    }
}
impl ::murmur::event::Field<1034076534777388789u64> for View {
    type Type = Option<u32>;
    type Read = ::core::option::Option<::core::primitive::u32>;
    fn get(&self) -> &Option<u32> {
        &self.retries
    }
}
impl ::murmur::event::Field<9036332894136256754u64> for View {
    type Type = String;
    type Read = ::std::string::String;
    fn get(&self) -> &String {
        &self.user
    }
}
impl ::murmur::event::Field<620456643683264872u64> for View {
    type Type = Timestamp;
    type Read = ::murmur::codegen::Unread;
    fn get(&self) -> &Timestamp {
        &self.at
    }
}
pub struct Sent {
    pub from: Option<String>,
}
impl ::murmur::event::Event for Sent {
    const NAME: &'static ::core::primitive::str = "Sent";
    const FIELDS: &'static [&'static ::core::primitive::str] = &["from"];
    const BESIDE: &'static [::murmur::event::BesideField] = &[
        ::murmur::event::BesideField {
            name: "from",
            place: ::murmur::event::Place::RecordKey,
            required: false,
        },
    ];
    fn fill(
        &mut self,
        envelope: &::murmur::source::Envelope<'_>,
    ) -> ::core::result::Result<(), ::std::string::String> {
        self.from = <Self as ::murmur::event::Event>::BESIDE[0usize].read(envelope)?;
        ::core::result::Result::Ok(())
    }
    fn time(&self) -> ::core::option::Option<::murmur::time::Timestamp> {
        ::core::option::Option::None
    }
}
impl ::murmur::event::Field<9188557619686916277u64> for Sent {
    type Type = Option<String>;
    type Read = ::core::option::Option<::std::string::String>;
    fn get(&self) -> &Option<String> {
        &self.from
    }
}
const _: () = {
    #[allow(unused_imports, reason = "of use only where serde does not read the event")]
    use ::murmur::codegen::NotBySerde as _;
    if ::murmur::codegen::Read::<Sent>::BY_SERDE {
        ::core::panic!(
            "M0119: `from` stands beside the payload, and serde would look for it inside; move `#[derive(Deserialize)]` below the `murmur` attribute, or write `#[serde(skip)]` on `from`"
        )
    }
};
