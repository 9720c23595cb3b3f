//! What a call of the service costs the process that answers it, beside a server of tonic that only greets.
//!
//! The server is a process of its own; this one calls it, from bytes that were made before, and looks at what comes back.

mod calls;
mod client;
mod hello;
mod load;
mod pages;
mod rolled;
mod served;
mod server;

use std::fmt::Display;
use std::sync::Arc;

use murmur::engine::{Clock, SystemClock};
use serde_json::Map;

use crate::Arguments;
use crate::measurement::Measurement;
use crate::resources::Used;
use calls::Call;
use load::{Found, Load, Prepared};
use pages::{BUSY, Counts, Pages};
use served::Served;
use server::Serving;

/// Set for the process of a server: what it is to be.
const CHILD: &str = "MURMUR_BENCH_QUERY";

type Result<T> = std::result::Result<T, String>;

fn text(error: impl Display) -> String {
    error.to_string()
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// The floor.
    Hello,
    /// `Get` of a value over all time.
    Get,
    /// `GetMany` of a hundred of them.
    GetMany,
    /// `Get` of a sliding window: the last 90 days.
    Last90d(Visits),
    /// `GetWindow` of 30 days at edges of minutes.
    Window(Visits),
    /// `Series` of 30 days.
    Series(Visits),
}

/// How often the pages are visited that are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visits {
    /// Now and then, of many pages.
    Seldom,
    /// All the time, of a few.
    EveryMinute,
}

impl Method {
    /// Those of Murmur's service.
    const ALL: [Self; 8] = [
        Self::Get,
        Self::GetMany,
        Self::Last90d(Visits::Seldom),
        Self::Window(Visits::Seldom),
        Self::Series(Visits::Seldom),
        Self::Last90d(Visits::EveryMinute),
        Self::Window(Visits::EveryMinute),
        Self::Series(Visits::EveryMinute),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Get => "get",
            Self::GetMany => "get-many",
            Self::Last90d(Visits::Seldom) => "get-90d",
            Self::Window(Visits::Seldom) => "window",
            Self::Series(Visits::Seldom) => "series",
            Self::Last90d(Visits::EveryMinute) => "get-90d-busy",
            Self::Window(Visits::EveryMinute) => "window-busy",
            Self::Series(Visits::EveryMinute) => "series-busy",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Hello => hello::PATH,
            Self::Get => "/murmur_bench.v1.PageTotalService/Get",
            Self::GetMany => "/murmur_bench.v1.PageTotalService/GetMany",
            Self::Last90d(_) => "/murmur_bench.v1.PageWindowService/Get",
            Self::Window(_) => "/murmur_bench.v1.PageWindowService/GetWindow",
            Self::Series(_) => "/murmur_bench.v1.PageWindowService/Series",
        }
    }

    /// How often, unless the command says otherwise: for some seconds.
    fn calls(self) -> u64 {
        match self {
            Self::Hello | Self::Get => 150_000,
            Self::GetMany => 10_000,
            Self::Last90d(_) | Self::Window(_) | Self::Series(_) => 50_000,
        }
    }

    /// Whether it is about the few pages that are visited all the time, which are the same however many others there are.
    fn is_of_busy(self) -> bool {
        matches!(
            self,
            Self::Last90d(Visits::EveryMinute) | Self::Window(Visits::EveryMinute) | Self::Series(Visits::EveryMinute)
        )
    }

    /// Whether visits are counted over all time.
    fn is_of_totals(self) -> bool {
        matches!(self, Self::Get | Self::GetMany)
    }
}

/// How it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// Over HTTP/2.
    Grpc,
    /// Over HTTP/1.1, as Connect and as plain HTTP has it.
    Json,
}

impl Protocol {
    const ALL: [Self; 2] = [Self::Grpc, Self::Json];

    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Json => "json",
        }
    }
}

const STORES: [&str; 2] = ["memory", "embedded"];

/// The parts of a variant's name that are wanted: `get,grpc,memory`, or some of them.
struct Only<'a>(Vec<&'a str>);

impl<'a> Only<'a> {
    fn of(variant: Option<&'a str>) -> Result<Self> {
        let wanted: Vec<&str> = variant.map(|variant| variant.split(',').collect()).unwrap_or_default();
        let methods = Method::ALL.map(Method::name);
        let known: Vec<&str> = [Method::Hello.name()]
            .into_iter()
            .chain(methods)
            .chain(Protocol::ALL.map(Protocol::name))
            .chain(STORES)
            .collect();
        match wanted.iter().find(|part| !known.contains(part)) {
            Some(unknown) => Err(format!("there is no `{unknown}`; a variant is made of: {}", known.join(", "))),
            None => Ok(Self(wanted)),
        }
    }

    fn has(&self, parts: &[&str]) -> bool {
        self.0.iter().all(|wanted| parts.contains(wanted))
    }
}

/// For each store and number of keys the floor, and then each method in each protocol; or of these what was asked for.
pub(crate) fn measure(arguments: &Arguments, report: &mut dyn FnMut(Measurement)) -> Result<()> {
    let only = Only::of(arguments.variant.as_deref())?;
    let many = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(text)?;
    let bench = Bench { only, calls: arguments.events, cache: arguments.tile_cache, many };
    if bench.only.0 == [Method::Hello.name()] {
        return bench.hello(report).map(drop);
    }
    let counts = arguments.keys.map_or_else(|| vec![10_000, 1_000_000], |keys| vec![keys]);
    for store in STORES {
        for (at, keys) in counts.iter().enumerate() {
            let keys = u32::try_from(*keys).map_err(|_| "so many different keys are too many")?;
            let methods = Method::ALL.into_iter().filter(|method| at == 0 || !method.is_of_busy());
            bench.store(store, keys, &methods.collect::<Vec<_>>(), report)?;
        }
    }
    Ok(())
}

struct Bench<'a> {
    only: Only<'a>,
    calls: Option<u64>,
    cache: u64,
    /// For callers at full speed: as many threads as the server has.
    many: tokio::runtime::Runtime,
}

/// What greetings come to.
#[derive(Clone, Copy)]
struct Floor {
    /// CPU-seconds of the server for each.
    cpu_s: f64,
    p99_ms_half: f64,
}

impl Bench<'_> {
    fn hello(&self, report: &mut dyn FnMut(Measurement)) -> Result<Floor> {
        let mut served = Served::start(&Serving::Hello)?;
        let counts = Counts { totals: 1, busy: 0, seldom: 0 };
        let pages = Arc::new(Pages::new(counts, SystemClock.now()));
        let (mut measured, half) = self.call(&mut served, Method::Hello, Protocol::Grpc, &pages)?;
        measured.variant = "hello,grpc".to_owned();
        let floor = Floor { cpu_s: measured.used.cpu_s / measured.events as f64, p99_ms_half: half.percentile_ms(99) };
        report(measured);
        Ok(floor)
    }

    fn store(&self, store: &str, keys: u32, methods: &[Method], report: &mut dyn FnMut(Measurement)) -> Result<()> {
        let is_wanted = |method: Method, protocol: Protocol| self.only.has(&[method.name(), protocol.name(), store]);
        let wanted = |method: &&Method| Protocol::ALL.iter().any(|protocol| is_wanted(**method, *protocol));
        let methods: Vec<Method> = methods.iter().filter(wanted).copied().collect();
        if methods.is_empty() {
            return Ok(());
        }
        let floor = self.hello(report)?;
        let now = SystemClock.now();
        let keys_of = |is_of: fn(&Method) -> bool, keys| if methods.iter().any(is_of) { keys } else { 0 };
        let counts = Counts {
            totals: keys_of(|method| method.is_of_totals(), keys),
            busy: keys_of(|method| !method.is_of_totals(), BUSY),
            seldom: keys_of(|method| !method.is_of_totals() && !method.is_of_busy(), keys),
        };
        let (end, cache) = (now.as_micros(), self.cache);
        let serving = Serving::Pages { store: store.to_owned(), counts, end, cache };
        let (mut served, pages) = (Served::start(&serving)?, Arc::new(Pages::new(counts, now)));
        for method in methods {
            let mut by_grpc = None;
            for protocol in Protocol::ALL.into_iter().filter(|protocol| is_wanted(method, *protocol)) {
                let (mut measured, _) = self.call(&mut served, method, protocol, &pages)?;
                let cpu_s = measured.used.cpu_s / measured.events as f64;
                measured.variant = format!("{},{},{store}", method.name(), protocol.name());
                measured.ratio = match by_grpc {
                    None => Some((cpu_s / floor.cpu_s, "hello,grpc".to_owned())),
                    Some(by_grpc) => Some((cpu_s / by_grpc, format!("{},grpc,{store}", method.name()))),
                };
                measured.more.insert("keys".into(), if method.is_of_busy() { BUSY } else { keys }.into());
                measured.more.insert("p99_ms_half_hello".into(), round(floor.p99_ms_half).into());
                by_grpc = Some(cpu_s);
                report(measured);
            }
        }
        Ok(())
    }

    /// Call at full load, and then at half of what that was, which is found beside it.
    fn call(
        &self,
        served: &mut Served,
        method: Method,
        protocol: Protocol,
        pages: &Arc<Pages>,
    ) -> Result<(Measurement, Found)> {
        let events = self.calls.unwrap_or(method.calls());
        let prepared = Prepared::new(protocol, Call::prepare(method, protocol, pages, events)?)?;
        let port = served.port;
        let connect = || Load::connect(port, method.path(), &prepared);
        let mut load = self.many.block_on(connect())?;
        // Connections, caches, branch predictors.
        let warm = self.many.block_on(load.at_full_speed(events / 10 + 1))?;
        let before = served.usage()?;
        let full = self.many.block_on(load.at_full_speed(events))?;
        let after = served.usage()?;
        drop(load);
        let rate = events as f64 / full.wall_s;
        // One thread, which leaves the server alone as far as it can. Connections end with it.
        let one = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
        let mut paced = one.block_on(connect())?;
        let half = one.block_on(paced.at_a_pace(events, rate / 2.0))?;
        let at_half = served.usage()?;
        let used =
            Used { wall_s: full.wall_s, cpu_s: after.cpu_s - before.cpu_s, user_s: after.user_s - before.user_s };
        let mut more = Map::new();
        let per_call = |cpu_s: f64| round(cpu_s / events as f64 * 1e6);
        more.insert("us_per_call".into(), per_call(used.cpu_s).into());
        more.insert("us_per_call_half".into(), per_call(at_half.cpu_s - after.cpu_s).into());
        more.insert("calls_per_s".into(), rate.round().into());
        let mut percentiles = |load: &str, found: &Found| {
            for percent in [50, 99] {
                more.insert(format!("p{percent}_ms{load}"), round(found.percentile_ms(percent)).into());
            }
        };
        percentiles("", &full);
        percentiles("_half", &half);
        more.insert("rss_mib".into(), after.rss_mib.round().into());
        let exact = [&warm, &full, &half].iter().all(|found| found.wrong == 0);
        let measured = Measurement { name: "query", variant: String::new(), events, used, exact, ratio: None, more };
        Ok((measured, half))
    }
}

fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// When this is the process of a server: be it.
pub(crate) fn be_server() -> Option<Result<()>> {
    let asked = std::env::var(CHILD).ok()?;
    Some(asked.parse().and_then(|serving| server::be(&serving)))
}

#[cfg(test)]
mod tests {
    use murmur::store::MemoryStore;
    use tokio::net::TcpListener;

    use super::*;

    /// How many replies were wrong of a server with ten pages of each kind, and one that is visited every minute.
    async fn wrong(method: Method, protocol: Protocol, asked: &Arc<Pages>, port: u16) -> u64 {
        let prepared = Prepared::new(protocol, Call::prepare(method, protocol, asked, 64).unwrap()).unwrap();
        let mut load = Load::connect(port, method.path(), &prepared).await.unwrap();
        load.at_full_speed(64).await.unwrap().wrong + load.at_a_pace(64, 10_000.0).await.unwrap().wrong
    }

    #[tokio::test]
    async fn every_call_has_the_reply_that_it_has_to_have_and_another_one_shows() {
        let (store, now) = (Arc::new(MemoryStore::new()) as _, SystemClock.now());
        let pages = Arc::new(Pages::new(Counts { totals: 10, busy: 1, seldom: 10 }, now));
        server::fill(&store, &pages).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(server::serve(store, 1 << 20, listener, std::future::pending()));
        let later = now.saturating_add(murmur::time::Span::from_seconds(3 * 86_400));
        let others = Arc::new(Pages::new(Counts { totals: 20, busy: 1, seldom: 20 }, later));
        for protocol in Protocol::ALL {
            for method in Method::ALL {
                assert_eq!(wrong(method, protocol, &pages, port).await, 0, "{} {}", method.name(), protocol.name());
                assert!(wrong(method, protocol, &others, port).await > 0, "{} {}", method.name(), protocol.name());
            }
        }
        let greeter = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = greeter.local_addr().unwrap().port();
        tokio::spawn(hello::serve(greeter, std::future::pending()));
        assert_eq!(wrong(Method::Hello, Protocol::Grpc, &pages, port).await, 0);
    }

    #[test]
    fn a_server_is_told_what_it_is_to_be() {
        let counts = Counts { totals: 7, busy: 2, seldom: 3 };
        let pages = Serving::Pages { store: "memory".to_owned(), counts, end: -5, cache: 0 };
        for serving in [Serving::Hello, pages] {
            assert_eq!(serving.to_string().parse(), Ok(serving));
        }
        assert!("nothing".parse::<Serving>().is_err());
    }
}
