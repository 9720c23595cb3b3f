//! A server that answers as it is told to.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

use super::super::*;
use crate::time::Span;

/// What the server does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Status and body.
    Says(u16, String),
    /// Status 200, this body, and that it has this checksum.
    Summed(u32, String),
    /// Goes by a clock that is so many seconds ahead: refuses with this error what was signed at another time.
    Checks(i64, &'static str),
    /// Closes the connection.
    Cuts,
    /// Keeps it open for ever.
    Waits,
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::Says(status, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{message}"}}"#))
}

/// A server that gives one reply after the other, the last one for ever; it remembers the operations (in lower case, as
/// headers are read here) and the bodies.
pub(super) struct Server {
    pub(super) endpoint: String,
    pub(super) asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Server {
    pub(super) fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, replies) = (asked.clone(), Arc::new(replies));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, replies) = (seen.clone(), replies.clone());
                thread::spawn(move || serve(stream.unwrap(), &seen, &replies));
            }
        });
        Self { endpoint, asked }
    }

    pub(super) async fn store(&self) -> DynamoStore {
        let config = DynamoConfig {
            endpoint: Some(self.endpoint.clone()),
            // Only what waits takes so long, however busy the machine is.
            timeout: Span::from_seconds(2),
            ..DynamoConfig::new()
        };
        DynamoStore::open(&config).await.unwrap()
    }

    pub(super) fn operations(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(operation, _)| operation.clone()).collect()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<(String, String)>>, replies: &[Reply]) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let head = end.map(|end| String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase());
        let field = |name: &str| {
            let line = head.as_ref()?.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_start_matches(':').trim().to_owned())
        };
        let whole = field("content-length").map(|length| end.unwrap() + 4 + length.parse::<usize>().unwrap());
        if let Some(whole) = whole.filter(|whole| bytes.len() >= *whole) {
            let body = String::from_utf8_lossy(&bytes[end.unwrap() + 4..whole]).into_owned();
            let at = {
                let mut seen = seen.lock().unwrap();
                seen.push((field("x-amz-target").unwrap().split('.').next_back().unwrap().to_owned(), body));
                seen.len() - 1
            };
            let (status, body, extra) = match &replies[at.min(replies.len() - 1)] {
                Reply::Says(status, body) => (*status, body.clone(), String::new()),
                Reply::Summed(sum, body) => (200, body.clone(), format!("x-amz-crc32: {sum}\r\n")),
                Reply::Checks(ahead, code) => {
                    let (is_taken, date) = check_time(&field("x-amz-date").unwrap(), *ahead);
                    let body = if is_taken { "{}".into() } else { format!(r#"{{"__type":"{code}","message":"no"}}"#) };
                    (if is_taken { 200 } else { 400 }, body, format!("date: {date}\r\n"))
                }
                Reply::Cuts => return,
                Reply::Waits => loop {
                    thread::park();
                },
            };
            let length = body.len();
            let kind = "content-type: application/x-amz-json-1.0";
            let head = format!("HTTP/1.1 {status} Said\r\n{kind}\r\n{extra}content-length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).unwrap();
            bytes.drain(..whole);
            continue;
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Whether a server whose clock is so many seconds ahead takes a signature of this time, and the `Date` of its reply.
fn check_time(signed: &str, ahead: i64) -> (bool, String) {
    // 20261128t140743z
    let at = |from: usize, to: usize| &signed[from..to];
    let signed = format!("{}-{}-{}T{}:{}:{}Z", at(0, 4), at(4, 6), at(6, 8), at(9, 11), at(11, 13), at(13, 15));
    let signed = DateTime::from_str(&signed, DateTimeFormat::DateTime).unwrap();
    let now = DateTime::from_secs(DateTime::from(SystemTime::now()).secs() + ahead);
    ((now.secs() - signed.secs()).abs() < 300, now.fmt(DateTimeFormat::HttpDate).unwrap())
}
