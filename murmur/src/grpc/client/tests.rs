use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::super::tests::{Stock, stock};
use super::Client;
use crate::ErrorKind;

/// A client of what listens here.
fn client(listener: &TcpListener) -> Client<Stock> {
    let address = listener.local_addr().unwrap();
    Client::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy())
}

/// A server that is not available before this time, and then has no such method; and how often it was asked.
async fn busy(wait: Duration) -> (Client<Stock>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let answer = move || {
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        let status = if first {
            Status::with_error_details(Code::Unavailable, "busy", ErrorDetails::with_retry_info(Some(wait)))
        } else {
            Status::unimplemented("none")
        };
        std::future::ready(status.into_http::<axum::body::Body>())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener);
    let routes = Routes::from(axum::Router::new().fallback(answer));
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(TcpListenerStream::new(listener)));
    (client, asked)
}

#[tokio::test]
async fn a_call_and_a_stream_are_tried_again_when_the_server_says_and_not_at_all_where_that_is_too_late() {
    let wait = Duration::from_millis(300);
    for streamed in [false, true] {
        let kind = async |client: &Client<Stock>| {
            let error = if streamed {
                client.watch(stock(7, "tea", -2), None).await.err()
            } else {
                client.get(stock(7, "tea", -2)).await.err()
            };
            error.unwrap().kind()
        };
        let ((client, asked), begun) = (busy(wait).await, Instant::now());
        assert_eq!(kind(&client).await, ErrorKind::NotFound);
        assert!(begun.elapsed() >= wait);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        let (client, asked) = busy(Duration::from_secs(3_600)).await;
        assert_eq!(kind(&client).await, ErrorKind::Unavailable);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_stream_that_no_server_begins_to_answer_ends_by_the_timeout() {
    // The system takes the connection, and nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener).timeout(Duration::from_millis(50));
    let error = client.watch(stock(7, "tea", -2), None).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
}
