/// One view of one page.
#[derive(serde::Deserialize)]
pub struct PageView {
    pub page_id: String,
    #[serde(default)]
    pub r#type: Option<Vec<u8>>,
    price: Decimal,
    pub viewed_at: SystemTime,
}
impl ::murmur::event::Event for PageView {
    const NAME: &'static ::core::primitive::str = "PageView";
    const FIELDS: &'static [&'static ::core::primitive::str] = &[
        "page_id",
        "type",
        "price",
        "viewed_at",
    ];
    fn time(&self) -> ::core::option::Option<::murmur::time::Timestamp> {
        ::core::option::Option::Some(::murmur::event::Instant::instant(&self.viewed_at))
    }
}
impl ::murmur::event::Timed for PageView {}
impl ::murmur::event::Field<1097814663307194630u64> for PageView {
    type Type = String;
    type Read = ::std::string::String;
    fn get(&self) -> &String {
        &self.page_id
    }
}
impl ::murmur::event::Field<12075340201627130925u64> for PageView {
    type Type = Option<Vec<u8>>;
    type Read = ::core::option::Option<::std::vec::Vec<::core::primitive::u8>>;
    fn get(&self) -> &Option<Vec<u8>> {
        &self.r#type
    }
}
impl ::murmur::event::Field<3393610910270210282u64> for PageView {
    type Type = Decimal;
    type Read = ::murmur::event::Shown;
    fn get(&self) -> &Decimal {
        &self.price
    }
}
impl ::murmur::event::Field<10017538644287481703u64> for PageView {
    type Type = SystemTime;
    type Read = ::murmur::codegen::Unread;
    fn get(&self) -> &SystemTime {
        &self.viewed_at
    }
}
