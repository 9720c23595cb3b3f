//! What the macros make of definitions, used as a user would.

#![allow(missing_docs, reason = "definitions of a test")]

use murmur::key::{Key, KeyBuf};
use murmur::pipeline::Emissions;
use murmur::prelude::*;
use murmur::time::Window;

/// One view of one page.
#[murmur::event]
pub struct PageView {
    pub page_id: String,
    pub user_id: String,
    pub dwell_ms: u64,
    pub referrer: Option<String>,
    pub tags: Vec<String>,
    pub r#type: Kind,
    #[murmur(time)]
    pub viewed_at: Timestamp,
}

#[murmur::value]
#[derive(Clone)]
pub enum Kind {
    Human,
    Robot,
}

/// What is known about a page.
#[murmur::aggregate]
#[derive(PartialEq)]
pub struct Traffic {
    /// Views.
    pub views: Count,
    pub dwell_ms: Sum<u64>,
    pub slowest: Max<u64>,
}

/// One of each.
#[murmur::aggregate]
pub struct Everything {
    pub count: Count,
    pub sum: Sum<f64>,
    pub average: Average,
    pub moments: Moments,
    pub min: Min<i64>,
    pub max: Max<String>,
    pub first: First<u32>,
    pub last: Last<bool>,
    pub latest: Latest<String>,
    pub set: Set<String, 100>,
    pub quantiles: Quantiles,
    pub distinct: Distinct,
    pub distinct_set: DistinctSet,
    pub top: TopK<10>,
}

/// Traffic per page,
/// over any window of up to 90 days.
///
/// More is said here.
#[murmur::pipeline(key = page_id, window = sliding("90d", slot = "1m"))]
pub fn page_traffic(view: &PageView) -> Traffic {
    Traffic { views: Count::one(), dwell_ms: Sum::of(view.dwell_ms), slowest: Max::of(view.dwell_ms) }
}

#[murmur::pipeline(key = (referrer, r#type), name = "by_referrer", package = "shop.v2")]
fn by_referrer_and_type(view: &PageView) -> impl Iterator<Item = ((String, u8), Count)> + '_ {
    let kind = matches!(view.r#type, Kind::Robot) as u8;
    view.referrer.iter().map(move |referrer| ((referrer.clone(), kind), Count::one()))
}

#[murmur::pipeline(key = tag)]
fn tags(view: &PageView) -> Vec<(String, Count)> {
    view.tags.iter().map(|tag| (tag.clone(), Count::one())).collect()
}

#[murmur::pipeline(rollup = [(page_id, user_id), (page_id), ()], window = tumbling("1h", keep = "30d"))]
fn humans(PageView { r#type, .. }: &PageView) -> Option<Count> {
    matches!(r#type, Kind::Human).then(Count::one)
}

#[murmur::pipeline(name = "likes", window = sliding("30d", slot = "1h"))]
pub struct Like {
    /// What is liked.
    #[murmur(key)]
    pub post_id: u32,
    #[murmur(time)]
    pub at: std::time::SystemTime,
    #[murmur(distinct, top_k(3), distinct_set, set(2))]
    pub user_id: String,
    #[murmur(sum, average, max, last, moments, quantiles)]
    pub weight: Option<u16>,
}

fn view() -> PageView {
    PageView {
        page_id: "/home".into(),
        user_id: "ada".into(),
        dwell_ms: 20,
        referrer: Some("news".into()),
        tags: vec!["a".into(), "b".into()],
        r#type: Kind::Human,
        viewed_at: Timestamp::from_seconds(1_000),
    }
}

/// The keys and values of one event.
fn applied<P: Pipeline>(event: &P::Event) -> Vec<(String, P::Aggregate)> {
    let mut out = Emissions::default();
    P::apply(event, &mut out);
    assert_eq!(out.refusal(), None);
    out.drain().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn keys<P: Pipeline>(event: &P::Event) -> Vec<String> {
    applied::<P>(event).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_function_is_a_pipeline() {
    let spec = PageTraffic::SPEC;
    assert_eq!((spec.name, spec.service), ("page_traffic", "PageTrafficService"));
    assert_eq!(spec.package, "murmur_stream.v1");
    assert_eq!(spec.about, "Traffic per page, over any window of up to 90 days.");
    let Window::Sliding { span, slot } = spec.window else { panic!("{:?}", spec.window) };
    assert_eq!((span.to_string(), slot.to_string()), ("90d".into(), "1m".into()));
    let applied = applied::<PageTraffic>(&view());
    assert_eq!(applied[0].0, "=/home");
    assert_eq!(
        applied[0].1.reply(&Question::default()).unwrap(),
        TrafficReply { views: 1, dwell_ms: 20, slowest: Some(20) }
    );
    assert_eq!(PageTrafficKey::decode("=/home").unwrap(), PageTrafficKey { page_id: "/home".into() });
}

#[test]
fn an_event_knows_its_fields_and_its_time() {
    use murmur::event::Event;
    assert_eq!(PageView::NAME, "PageView");
    assert_eq!(PageView::FIELDS[5], "type");
    assert_eq!(view().time(), Some(Timestamp::from_seconds(1_000)));
}

#[test]
fn fan_outs_emit_each_of_their_keys() {
    assert_eq!(keys::<Tags>(&view()), ["=a", "=b"]);
    assert_eq!(keys::<ByReferrer>(&view()), ["=news\0a0"]);
    assert_eq!(ByReferrer::SPEC.package, "shop.v2");
    let key = ByReferrerKey { referrer: "news".into(), r#type: 0 };
    assert_eq!(ByReferrerKey::FIELDS, ["referrer", "type"]);
    assert_eq!(ByReferrerKey::decode("=news\0a0").unwrap(), key);
}

#[test]
fn filters_leave_events_out_and_rollups_count_each_set_of_fields() {
    assert_eq!(keys::<Humans>(&view()), ["1.2=/home\0ada", "1=/home", "="]);
    let robot = PageView { r#type: Kind::Robot, ..view() };
    assert_eq!(keys::<Humans>(&robot), Vec::<String>::new());
    let all = HumansKey::default();
    let mut out = KeyBuf::default();
    let place = all.encode(&mut out).unwrap();
    assert_eq!(out.slice(place), "=");
}

#[test]
fn one_of_each_answers_in_one_struct() {
    let at = Timestamp::from_millis(5);
    let everything = Everything {
        count: Count::one(),
        sum: Sum::of(0.5),
        average: Average::of(2),
        moments: Moments::of(2),
        min: Min::of(-1),
        max: Max::of("a"),
        first: First::at(at, 1u32),
        last: Last::at(at, true),
        latest: Latest::of(7u64, "new"),
        set: Set::of("b"),
        quantiles: Quantiles::of(3),
        distinct: Distinct::of("a"),
        distinct_set: DistinctSet::of("a"),
        top: TopK::of("a"),
    };
    let question = Question { quantiles: vec![0.25], ..Question::default() };
    let reply = everything.reply(&question).unwrap();
    assert_eq!((reply.latest.as_deref(), reply.set.values), (Some("new"), vec!["b".to_owned()]));
    assert_eq!((reply.quantiles.quantiles[0].quantile, reply.quantiles.quantiles[0].value), (0.25, 3.0));
    assert_eq!((reply.distinct_set.value, reply.moments.population_variance), (1.0, Some(0.0)));
}

#[test]
fn a_struct_says_by_its_fields_what_is_kept() {
    let at = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(5);
    let like = |user: &str, weight| Like { post_id: 42, at, user_id: user.into(), weight };
    let mut first = applied::<Likes>(&like("ada", Some(3)));
    let (key, mut total) = first.remove(0);
    assert_eq!(key, "=b42");
    total.combine(applied::<Likes>(&like("ada", None)).remove(0).1);
    let reply = total.reply(&Question::default()).unwrap();
    assert_eq!((reply.count, reply.weight_sum, reply.weight_max), (2, 3, Some(3)));
    assert_eq!(reply.weight_average.mean, Some(3.0));
    assert_eq!(reply.user_id_distinct.value.round(), 1.0);
    assert_eq!(reply.user_id_top_k.items[0].count, 2);
    assert_eq!(reply.user_id_distinct_set.value, 1.0);
    assert_eq!((reply.user_id_set.values, reply.user_id_set.truncated), (vec!["ada".to_owned()], false));
    assert_eq!((reply.weight_moments.count, reply.weight_moments.mean), (1, Some(3.0)));
    assert_eq!((reply.weight_quantiles.count, reply.weight_quantiles.max), (1, Some(3.0)));
    assert_eq!(reply.weight_last.unwrap().at, Some(Timestamp::from_millis(5)));
    assert_eq!(LikesKey { post_id: 42 }, LikesKey::parse(&["42".into()]).unwrap());
}

#[test]
fn keys_and_replies_are_protobuf_messages_of_the_package() {
    use murmur::wire::WireMessage;
    assert_eq!(PageTrafficKey::NAME, "murmur_stream.v1.PageTrafficKey");
    assert_eq!(TrafficReply::NAME, "murmur_stream.v1.Traffic");
    assert_eq!(LikesTotalsReply::NAME, "murmur_stream.v1.LikesTotals");
}
