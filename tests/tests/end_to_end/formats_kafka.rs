//! Protobuf that a descriptor describes, behind the prefix of Confluent's serializers, and protobuf by a type of prost, from
//! a real broker through a whole program.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Output};
use std::sync::Arc;

use murmur::app::App;
use murmur::engine::{Confluent, Described, Description, Protobuf};
use murmur::prelude::*;
use murmur::query::Reader;
use murmur::store::{Consistency, EmbeddedConfig, EmbeddedStore};
use murmur_tests::kafka::{Cluster, Sent};
use murmur_tests::process;
use prost::Message;
use prost_types::Timestamp as Stamp;
use serde_json::{Value, json};

#[murmur::event]
#[derive(serde::Deserialize)]
struct Order {
    shop_id: String,
    #[murmur(header = "channel")]
    channel: String,
    lines: Vec<Line>,
    status: Status,
    coupon: Option<String>,
    #[murmur(time)]
    placed_at: Timestamp,
}

#[murmur::value]
#[derive(serde::Deserialize)]
struct Line {
    cents: u64,
}

#[murmur::value]
#[derive(serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    StatusPaid,
    StatusRefused,
}

#[murmur::aggregate]
struct Turnover {
    orders: Count,
    cents: Sum<u64>,
    coupons: Sum<u64>,
    first: Min<Timestamp>,
}

/// What paid orders are worth, by shop and channel.
#[murmur::pipeline(key = (shop_id, channel))]
fn turnovers(order: &Order) -> Option<Turnover> {
    matches!(order.status, Status::StatusPaid).then(|| Turnover {
        orders: Count::one(),
        cents: Sum::of(order.lines.iter().map(|line| line.cents).sum::<u64>()),
        coupons: Sum::of(u64::from(order.coupon.is_some())),
        first: Min::of(order.placed_at),
    })
}

enum Orders {}

impl Description for Orders {
    const DESCRIPTORS: &'static [u8] = include_bytes!(concat!(env!("OUT_DIR"), "/order.bin"));
    const MESSAGE: &'static str = "shop.v1.Order";
}

enum Misspelt {}

impl Description for Misspelt {
    const DESCRIPTORS: &'static [u8] = Orders::DESCRIPTORS;
    const MESSAGE: &'static str = "shop.v1.Odrer";
}

/// The message as those who send it know it.
#[derive(Clone, PartialEq, Message)]
struct SentOrder {
    #[prost(string, tag = "1")]
    shop_id: String,
    #[prost(message, repeated, tag = "2")]
    lines: Vec<SentLine>,
    #[prost(int32, tag = "3")]
    status: i32,
    #[prost(message, optional, tag = "4")]
    placed_at: Option<Stamp>,
    #[prost(string, optional, tag = "5")]
    coupon: Option<String>,
    /// Of a newer schema.
    #[prost(fixed64, tag = "9")]
    newer: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SentLine {
    #[prost(string, tag = "1")]
    sku: String,
    #[prost(uint64, tag = "2")]
    cents: u64,
}

/// What a user makes of the message that prost gives him.
#[murmur::event]
struct Sale {
    shop_id: String,
    cents: u64,
    #[murmur(time)]
    at: Timestamp,
}

impl TryFrom<SentOrder> for Sale {
    type Error = &'static str;

    fn try_from(order: SentOrder) -> Result<Self, Self::Error> {
        let placed_at = order.placed_at.ok_or("nobody knows when it was placed")?;
        let cents = order.lines.iter().map(|line| line.cents).sum();
        Ok(Self { shop_id: order.shop_id, cents, at: Timestamp::from_seconds(placed_at.seconds) })
    }
}

#[murmur::aggregate]
struct Takings {
    sales: Count,
    cents: Sum<u64>,
}

/// What a shop takes.
#[murmur::pipeline(key = shop_id)]
fn sales_by_shop(sale: &Sale) -> Takings {
    Takings { sales: Count::one(), cents: Sum::of(sale.cents) }
}

/// The arguments of the program below, with spaces between them.
const ARGUMENTS: &str = "MURMUR_TEST_PROGRAM_ARGUMENTS";

/// The program: a process of its own, as it has a runtime and a log of its own.
#[test]
#[ignore = "run as a child by the tests below"]
fn program() {
    let arguments = std::env::var(ARGUMENTS).unwrap();
    let app = App::new("orders", murmur::app::Contracts::default());
    let (which, arguments) = arguments.split_once(' ').unwrap();
    let app = match which {
        "described" => app.pipeline_in::<Turnovers, Confluent<Described<Orders>>>(),
        "misspelt" => app.pipeline_in::<Turnovers, Described<Misspelt>>(),
        "prost" => app.pipeline_in::<SalesByShop, Protobuf<SentOrder>>(),
        other => panic!("no program `{other}`"),
    };
    assert_eq!(app.run_with(arguments.split(' ')), ExitCode::SUCCESS);
}

fn run(arguments: &str) -> Output {
    let mut command: Command = process::command(
        std::env::current_exe().unwrap(),
        &["--ignored", "--exact", "formats_kafka::program", "--nocapture", "--test-threads=1"],
    );
    command.env(ARGUMENTS, arguments).output().unwrap()
}

fn store(folder: &Path) -> String {
    process::store(&folder.join("store"))
}

#[tokio::test]
async fn messages_that_a_descriptor_describes_are_counted_behind_the_prefix_of_confluent() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("orders", 2).await;
    let mut truth: BTreeMap<(String, String), (u64, u64, u64)> = BTreeMap::new();
    let orders: Vec<Sent> = (0..4_000u64)
        .map(|n| {
            let (shop, channel) = (format!("shop {}", n % 5), ["web", "till"][n as usize % 3 % 2]);
            let lines: Vec<u64> = (0..n % 4).map(|line| (n << 33) + line).collect();
            let (status, coupon) = (1 + i32::from(n.is_multiple_of(10)), n.is_multiple_of(4));
            if status == 1 {
                let counted = truth.entry((shop.clone(), channel.to_owned())).or_default();
                *counted = (counted.0 + 1, counted.1 + lines.iter().sum::<u64>(), counted.2 + u64::from(coupon));
            }
            let order = SentOrder {
                shop_id: shop,
                lines: lines.into_iter().map(|cents| SentLine { sku: "x".to_owned(), cents }).collect(),
                status,
                placed_at: Some(Stamp { seconds: 1_700_000_000 + n as i64, nanos: 1_000 }),
                coupon: coupon.then(String::new),
                newer: n,
            };
            let mut payload = vec![0, 0, 0, 1, 7, 0];
            order.encode(&mut payload).unwrap();
            Sent { headers: vec![("channel".to_owned(), Some(channel.to_owned()))], payload, ..Sent::default() }
        })
        .collect();
    cluster.send_all(&topic, 2, orders.clone());
    let whole = &orders[1];
    let broken = [
        Sent { payload: whole.payload[6..].to_vec(), ..whole.clone() },
        Sent { payload: whole.payload[..9].to_vec(), ..whole.clone() },
        // Without a time, which has a presence of its own.
        Sent { payload: [&[0, 0, 0, 1, 7, 0, 0x18, 1][..]].concat(), ..whole.clone() },
        Sent { headers: Vec::new(), ..whole.clone() },
        // A status that the descriptor does not know.
        Sent { payload: [&[0, 0, 0, 1, 7, 0, 0x18, 9][..]].concat(), ..whole.clone() },
    ];
    cluster.send_all(&topic, 2, broken);

    let folder = tempfile::tempdir().unwrap();
    let (source, group) = (format!("kafka://{}/{topic}", cluster.brokers), Cluster::name("orders"));
    let letters = folder.path().join("letters");
    let ran = run(&format!(
        "described run --until-end --threads 1 --source {source}?group={group} --store {} --dead-letters {}",
        store(folder.path()),
        letters.display()
    ));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));

    let opened = Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder.path().join("store"))).unwrap());
    let reader = Reader::<Turnovers>::new(opened, 1);
    for ((shop_id, channel), counted) in truth {
        let key = TurnoversKey { shop_id, channel };
        let value = reader.get(&key, Consistency::Strong).await.unwrap().value;
        assert_eq!((value.orders, value.cents, value.coupons), counted, "{key:?}");
        let first = value.first.unwrap().as_micros();
        assert_eq!(first % 1_000_000, 1, "the nanoseconds of the message");
    }

    let reasons = reasons(&letters);
    let begins = [
        "not a `Order` behind a prefix of Confluent: it does not begin with a zero byte",
        "not a `Order` in protobuf: ",
        "not a `Order`: `status`: 9 is no value of `shop.v1.Status`",
        "not a `Order`: missing field `placed_at`",
        "not a `Order`: the header `channel`, which its field `channel` is read from, is not there",
    ];
    assert_eq!(reasons.len(), begins.len(), "{reasons:?}");
    for (reason, begin) in reasons.iter().zip(begins) {
        assert!(reason.starts_with(begin), "{reason}");
    }
}

/// Why there are dead letters in this folder.
fn reasons(letters: &Path) -> Vec<String> {
    let mut reasons = Vec::new();
    for file in std::fs::read_dir(letters).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "jsonl") {
            let text = std::fs::read_to_string(file).unwrap();
            let letters = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            reasons.extend(letters.map(|letter| letter["reason"].as_str().unwrap().to_owned()));
        }
    }
    reasons.sort();
    reasons
}

#[tokio::test]
async fn messages_of_a_type_that_prost_made_are_counted() {
    let cluster = Cluster::from_environment();
    let topic = cluster.topic("sales", 2).await;
    let order = |n: u64, placed_at| SentOrder {
        shop_id: format!("shop {}", n % 3),
        lines: vec![SentLine { sku: "x".to_owned(), cents: n }, SentLine::default()],
        placed_at,
        ..SentOrder::default()
    };
    let when = |n| Some(Stamp { seconds: 1_700_000_000 + n as i64, nanos: 0 });
    let good = (0..900).map(|n| order(n, when(n)).encode_to_vec());
    // An empty one is a message of which every field has its default; a tombstone is no message.
    let bad = [order(1, None).encode_to_vec(), vec![0xff, 1, 2], Vec::new()];
    let tombstone = || Sent { key: Some("shop 1".to_owned()), tombstone: true, ..Sent::default() };
    let sent = good.chain(bad).flat_map(|payload| [Sent { payload, ..Sent::default() }, tombstone(), tombstone()]);
    cluster.send_all(&topic, 2, sent);

    let folder = tempfile::tempdir().unwrap();
    let letters = folder.path().join("letters");
    let ran = run(&format!(
        "prost run --until-end --threads 1 -o json --source kafka://{}/{topic}?group={} --store {} --dead-letters {}",
        cluster.brokers,
        Cluster::name("sales"),
        store(folder.path()),
        letters.display()
    ));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));

    let opened = Arc::new(EmbeddedStore::open(&EmbeddedConfig::new(folder.path().join("store"))).unwrap());
    let reader = Reader::<SalesByShop>::new(opened, 1);
    for shop in 0..3 {
        let key = SalesByShopKey { shop_id: format!("shop {shop}") };
        let value = reader.get(&key, Consistency::Strong).await.unwrap().value;
        let cents = (0..900).filter(|n| n % 3 == shop).sum::<u64>();
        assert_eq!((value.sales, value.cents), (300, cents), "{key:?}");
    }
    let reasons = reasons(&letters);
    assert!(reasons.len() == 3 && reasons[0].starts_with("not a `Sale` in protobuf: "), "{reasons:?}");
    assert_eq!(reasons[1..], ["not a `Sale`: nobody knows when it was placed"; 2]);
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(output.contains(r#""read":903,"#) && output.contains(r#""tombstones":1806,"#), "{output}");
}

#[test]
fn what_a_program_cannot_read_is_said_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("orders.jsonl");
    std::fs::write(&lines, format!("{}\n", json!({ "shop_id": "s" }))).unwrap();
    let refused = |arguments: String| {
        let ran = run(&arguments);
        assert!(!ran.status.success());
        String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout)
    };
    let run = format!("run --until-end --source {} --store {}", lines.display(), store(folder.path()));
    let said = refused(format!("described {run}"));
    for part in ["`Order` takes its field `channel` from the header `channel`", "topic of Kafka", "`Option`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for arguments in [format!("misspelt {run}"), "misspelt check".to_owned()] {
        let said = refused(arguments);
        assert!(said.contains("no message `shop.v1.Odrer`; there are: `shop.v1.Order`"), "{said}");
    }
}
