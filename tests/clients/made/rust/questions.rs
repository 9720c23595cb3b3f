//! Asks a list of questions by the client that `cargo murmur clients` has made for page-traffic, or for another program, whose
//! names and protos stand here then.
//!
//!     questions URL FILE      FILE has a JSON array of `{"method": .., "request": ..}`; prints one of `{"reply": ..}` and
//!                             `{"error": {"code": .., "message": ..}}`, with the number of gRPC's code

use std::result::Result as Ended;
use std::time::{Duration, SystemTime};

use page_traffic_client::PageTrafficClient;
use page_traffic_client::murmur::SetOperation;
use page_traffic_client::prost_types::Timestamp;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tonic::Status;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Long, as a machine that is busy is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(300);

/// The messages of the service, between protobuf's JSON and the types that the client has for them.
struct Shapes(DescriptorPool);

impl Shapes {
    fn new() -> Result<Self> {
        let files = protox::compile(["page_traffic/v1/page_traffic.proto"], ["{protos}"])?;
        Ok(Self(DescriptorPool::from_file_descriptor_set(files)?))
    }

    fn named(&self, name: &str) -> Result<prost_reflect::MessageDescriptor> {
        let name = format!("page_traffic.v1.PageTrafficService{name}");
        Ok(self.0.get_message_by_name(&name).ok_or(name)?)
    }

    fn request<M: Message + Default>(&self, method: &str, json: &Value) -> Result<M> {
        Ok(DynamicMessage::deserialize(self.named(&format!("{method}Request"))?, json)?.transcode_to()?)
    }

    fn ended<M: Message>(&self, method: &str, ended: Ended<M, Status>) -> Result<Value> {
        let reply = match ended {
            Ok(reply) => reply,
            Err(status) => return Ok(json!({ "error": { "code": status.code() as i32, "message": status.message() } })),
        };
        let mut shaped = DynamicMessage::new(self.named(&format!("{method}Response"))?);
        shaped.transcode_from(&reply)?;
        Ok(json!({ "reply": shaped }))
    }
}

fn at(instant: Option<Timestamp>) -> Result<Option<SystemTime>> {
    Ok(instant.map(SystemTime::try_from).transpose()?)
}

fn instant(instant: Option<Timestamp>) -> Result<SystemTime> {
    Ok(at(instant)?.ok_or("a time is asked for")?)
}

/// What comes of one question. Each arm reads the request, calls the method that the client has for it, and gives the reply.
async fn answer(client: &PageTrafficClient, shapes: &Shapes, method: &str, json: &Value) -> Result<Value> {
    use page_traffic_client::*;
    match method {
        "Get" => {
            let asked: PageTrafficServiceGetRequest = shapes.request(method, json)?;
            let client = asked.options.map_or(client.clone(), |options| client.clone().reading(options));
            shapes.ended(method, client.get(asked.key.unwrap_or_default()).await)
        }
        "GetMany" => {
            let asked: PageTrafficServiceGetManyRequest = shapes.request(method, json)?;
            let entries = client.get_many(asked.keys).await;
            shapes.ended(method, entries.map(|entries| PageTrafficServiceGetManyResponse { entries }))
        }
        "GetWindow" => {
            let asked: PageTrafficServiceGetWindowRequest = shapes.request(method, json)?;
            let (key, end) = (asked.key.unwrap_or_default(), at(asked.end)?);
            let reply = match (asked.window, asked.calendar) {
                (Some(window), _) => client.window(key, window.try_into()?, end).await,
                (None, calendar) => client.calendar(key, calendar.unwrap_or_default(), end).await,
            };
            shapes.ended(method, reply)
        }
        "GetWindowMany" => {
            let asked: PageTrafficServiceGetWindowManyRequest = shapes.request(method, json)?;
            let (keys, end) = (asked.keys, at(asked.end)?);
            let entries = match (asked.window, asked.calendar) {
                (Some(window), _) => client.window_many(keys, window.try_into()?, end).await,
                (None, calendar) => client.calendar_many(keys, calendar.unwrap_or_default(), end).await,
            };
            shapes.ended(method, entries.map(|entries| PageTrafficServiceGetWindowManyResponse { entries }))
        }
        "GetRange" => {
            let asked: PageTrafficServiceGetRangeRequest = shapes.request(method, json)?;
            let (start, end) = (instant(asked.start)?, instant(asked.end)?);
            shapes.ended(method, client.range(asked.key.unwrap_or_default(), start, end).await)
        }
        "GetRangeMany" => {
            let asked: PageTrafficServiceGetRangeManyRequest = shapes.request(method, json)?;
            let entries = client.range_many(asked.keys, instant(asked.start)?, instant(asked.end)?).await;
            shapes.ended(method, entries.map(|entries| PageTrafficServiceGetRangeManyResponse { entries }))
        }
        "Series" => {
            let asked: PageTrafficServiceSeriesRequest = shapes.request(method, json)?;
            let (key, end) = (asked.key.unwrap_or_default(), at(asked.end)?);
            let reply = match asked.calendar {
                Some(calendar) => client.calendar_series(key, calendar, end, asked.calendar_step).await,
                None => {
                    let step = asked.step.map(Duration::try_from).transpose()?;
                    client.series(key, instant(asked.start)?, end, step).await
                }
            };
            shapes.ended(method, reply)
        }
        "CombineSets" => {
            let asked: PageTrafficServiceCombineSetsRequest = shapes.request(method, json)?;
            let operation = SetOperation::try_from(asked.operation)?;
            shapes.ended(method, client.combine_sets(asked.sets, operation, &asked.field).await)
        }
        "Watch" => {
            let mut asked: PageTrafficServiceWatchRequest = shapes.request(method, json)?;
            let watching = match (asked.calendar.is_some(), asked.window) {
                (true, _) => client.watch_by(asked).await,
                (false, window) => {
                    let window = window.map(Duration::try_from).transpose()?;
                    client.watch(asked.key.take().unwrap_or_default(), window).await
                }
            };
            shapes.ended(method, first(watching).await)
        }
        "WatchMany" => {
            let asked: PageTrafficServiceWatchManyRequest = shapes.request(method, json)?;
            let watching = match (asked.calendar.is_some(), asked.window) {
                (true, _) => client.watch_many_by(asked).await,
                (false, window) => {
                    client.watch_many(asked.keys, window.map(Duration::try_from).transpose()?).await
                }
            };
            shapes.ended(method, first(watching).await)
        }
        other => Err(format!("there is no method `{other}`").into()),
    }
}

/// The first reply of a stream.
async fn first<M: Clone, R>(watching: Ended<page_traffic_client::Watching<M, R>, Status>) -> Ended<R, Status> {
    watching?.message().await?.ok_or_else(|| Status::unknown("the stream ended"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let questions: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&arguments[2])?)?;
    let (client, shapes) = (PageTrafficClient::new(&arguments[1])?.timeout(PATIENCE), Shapes::new()?);
    let mut answers = Vec::new();
    for question in &questions {
        let method = question["method"].as_str().ok_or("a question has a method")?;
        answers.push(answer(&client, &shapes, method, &question["request"]).await?);
    }
    println!("{}", Value::from(answers));
    Ok(())
}
