//! Those who ask by gRPC.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::pages::{Pages, Told};
use super::{PATIENCE, Seen};
use crate::rust_client::murmur::v1::ReadOptions;
use crate::rust_client::page_traffic::v1::page_traffic_service_client::PageTrafficServiceClient as Client;
use crate::rust_client::page_traffic::v1::*;

/// Every second call is a strong one.
pub(super) fn options(call: usize) -> (bool, Option<ReadOptions>) {
    let strong = call % 2 == 1;
    (strong, Some(ReadOptions { strong, ..ReadOptions::default() }))
}

pub(super) fn key(page: usize) -> Option<PageTrafficKey> {
    Some(PageTrafficKey { page_id: Pages::name(page) })
}

pub(super) fn told(value: Option<Traffic>) -> Told {
    let Traffic { views, dwell_ms, slowest, .. } = value.unwrap();
    Told { views, dwell: dwell_ms, slowest: slowest.unwrap() }
}

fn patiently<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

/// Whether the connection broke under a call. It may also not have begun, or not have been taken any more, by a connection that
/// ended in good order.
fn is_cut(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(cause) = next {
        let by_system = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let by_stream = cause.downcast_ref::<h2::Error>().is_some_and(|h2| h2.is_io() || h2.is_reset());
        if by_stream || by_system.is_some_and(|kind| kind != io::ErrorKind::ConnectionRefused) {
            return true;
        }
        next = cause.source();
    }
    false
}

impl Seen {
    /// An error is that of a broken connection, or the server's own request to call again.
    #[track_caller]
    fn assert_retryable(&self, moment: u64, status: &Status) {
        match status.source() {
            // The server has said it.
            None => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            Some(_) if is_cut(status) => self.assert_killed(moment, status),
            Some(_) => {}
        }
    }
}

/// Ask again and again.
async fn keep_asking<F>(client: usize, seen: Arc<Seen>, mut ask: impl FnMut(usize) -> F)
where
    F: Future<Output = Result<(), Status>>,
{
    for call in 0.. {
        if seen.enough() {
            return;
        }
        let moment = seen.moment();
        match ask(call).await {
            Ok(()) => seen.right(client),
            Err(status) => {
                seen.assert_retryable(moment, &status);
                tokio::time::sleep(Duration::from_millis(10)).await;
                seen.told(client);
            }
        }
    }
}

pub(super) async fn one_by_one(client: usize, channel: Channel, seen: Arc<Seen>) {
    keep_asking(client, seen.clone(), |call| {
        let (mut client, seen) = (Client::new(channel.clone()), seen.clone());
        async move {
            let (strong, options) = options(call);
            let asked = seen.pages.asked(Pages::turn(call / 2), strong);
            let request = PageTrafficServiceGetRequest { key: key(asked.page), options };
            let reply = client.get(patiently(request)).await?.into_inner();
            seen.pages.assert_right(&asked, told(reply.value));
            Ok(())
        }
    })
    .await;
}

pub(super) async fn many(client: usize, channel: Channel, seen: Arc<Seen>) {
    keep_asking(client, seen.clone(), |call| {
        let (mut client, seen) = (Client::new(channel.clone()), seen.clone());
        async move {
            let (strong, options) = options(call);
            let asked: Vec<_> = Pages::all().map(|page| seen.pages.asked(page, strong)).collect();
            let keys = asked.iter().filter_map(|asked| key(asked.page)).collect();
            let request = PageTrafficServiceGetManyRequest { keys, options };
            let entries = client.get_many(patiently(request)).await?.into_inner().entries;
            assert_eq!(entries.len(), asked.len());
            for (asked, entry) in asked.iter().zip(entries) {
                assert_eq!(entry.key, key(asked.page));
                seen.pages.assert_right(asked, told(entry.value));
            }
            Ok(())
        }
    })
    .await;
}

/// Each stream until it ends, which it does by an error only. What it tells of never becomes less, whichever server tells.
pub(super) async fn watching(client: usize, channel: Channel, seen: Arc<Seen>) {
    const PAGE: usize = 0;
    let mut least = 0;
    while !seen.enough() {
        let (moment, mut begun) = (seen.moment(), false);
        let watched = async {
            let request = PageTrafficServiceWatchRequest { key: key(PAGE), ..Default::default() };
            let mut changes = Client::new(channel.clone()).watch(request).await?.into_inner();
            loop {
                // There may be nothing new: who waits looks whether it is enough.
                match tokio::time::timeout(Duration::from_millis(100), changes.message()).await {
                    Ok(reply) => {
                        let told = told(reply?.unwrap().value);
                        begun = true;
                        seen.pages.assert_right(&seen.pages.asked(PAGE, false), told);
                        assert!(told.views >= least, "{} views after {least}", told.views);
                        least = told.views;
                        seen.right(client);
                    }
                    Err(_) if seen.enough() => return Ok(()),
                    Err(_) => {}
                }
            }
        };
        let watched: Result<(), Status> = watched.await;
        if let Err(status) = watched {
            seen.assert_retryable(moment, &status);
            if begun && status.source().is_some() {
                // A stream has its end told by a server that stops.
                seen.assert_killed(moment, status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            seen.told(client);
        }
    }
}
