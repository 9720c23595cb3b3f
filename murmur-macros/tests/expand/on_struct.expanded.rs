/// Likes per post.
pub struct Like {
    /// What is liked.
    pub post_id: String,
    pub at: Timestamp,
    pub user_id: Option<String>,
}
/// Likes per post.
#[allow(dead_code, reason = "a marker is named, not made")]
#[derive(Clone, Copy, Debug)]
pub struct Likes;
stream::key! {
    #[doc = " What the pipeline `likes` counts by."] pub struct LikesKey :
    "shop.v1.LikesKey" { #[doc = " What is liked."] post_id : < Like as
    stream::event::Field < 7948871530121469365u64 >> ::Type = 1, }
}
impl stream::pipeline::Pipeline for Likes {
    type Event = Like;
    type Key = LikesKey;
    type Aggregate = LikesTotals;
    const SPEC: stream::pipeline::Spec = stream::pipeline::Spec {
        name: "likes",
        package: "shop.v1",
        service: "LikesService",
        about: "Likes per post.",
        window: stream::time::Window::Tumbling {
            size: stream::time::Span::from_micros(3600000000u64),
            keep: stream::time::Span::from_micros(86400000000u64),
        },
        fingerprint: 2747354466899637238u64,
    };
    fn apply(
        event: &Self::Event,
        out: &mut stream::pipeline::Emissions<Self::Aggregate>,
    ) {
        let value = LikesTotals {
            count: stream::aggregate::Count::one(),
            user_id_distinct: <stream::aggregate::Distinct>::of(event.user_id.as_ref()),
            user_id_last: <stream::aggregate::Last<
                ::std::string::String,
            >>::at(
                stream::event::Event::time(event).unwrap_or_default(),
                event.user_id.as_ref(),
            ),
        };
        out.begin("")
            .field(<Like as stream::event::Field<7948871530121469365u64>>::get(event))
            .emit(value);
    }
}
const _: () = stream::size::fits::<Likes>();
impl stream::event::Event for Like {
    const NAME: &'static ::core::primitive::str = "Like";
    const FIELDS: &'static [&'static ::core::primitive::str] = &[
        "post_id",
        "at",
        "user_id",
    ];
    fn time(&self) -> ::core::option::Option<stream::time::Timestamp> {
        ::core::option::Option::Some(stream::event::Instant::instant(&self.at))
    }
}
impl stream::event::Timed for Like {}
impl stream::event::Field<7948871530121469365u64> for Like {
    type Type = String;
    type Read = ::std::string::String;
    fn get(&self) -> &String {
        &self.post_id
    }
}
impl stream::event::Field<620456643683264872u64> for Like {
    type Type = Timestamp;
    type Read = stream::codegen::Unread;
    fn get(&self) -> &Timestamp {
        &self.at
    }
}
impl stream::event::Field<9278023968149642234u64> for Like {
    type Type = Option<String>;
    type Read = ::core::option::Option<::std::string::String>;
    fn get(&self) -> &Option<String> {
        &self.user_id
    }
}
/// What the pipeline `likes` keeps of a key.
#[derive(Clone, Debug)]
pub struct LikesTotals {
    /// How many events.
    pub count: stream::aggregate::Count,
    /// `user_id_distinct`.
    pub user_id_distinct: stream::aggregate::Distinct,
    /// `user_id_last`.
    pub user_id_last: stream::aggregate::Last<::std::string::String>,
}
stream::aggregate_struct! {
    impl LikesTotals; #[doc = " What the pipeline `likes` keeps of a key."] pub struct
    LikesTotalsReply : "shop.v1.LikesTotals" { #[doc = " How many events."] count :
    stream::aggregate::Count = 1, #[doc = " `user_id_distinct`."] user_id_distinct :
    stream::aggregate::Distinct = 2, #[doc = " `user_id_last`."] user_id_last :
    stream::aggregate::Last < ::std::string::String > = 3, } retired[];
}
const _: () = ::core::panic!(
    "M0902: the build step did not see `Like`; is it made by a macro, inside a function, or in a file that no `mod` reaches?"
);
