use std::time::Duration;

use clap::CommandFactory;

use super::*;
use crate::engine::Options;
use crate::grpc::limits::Limits;
use crate::grpc::{Compress, Watching};
use crate::location::ByteSize;
use crate::query;
use crate::time::Span;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// The key of a rollup of everything has no fields; which pipelines have one, only the pipeline knows.
#[test]
fn a_query_can_name_the_pipeline_alone() {
    let cli = Cli::try_parse_from(["shop", "query", "likes"]).unwrap();
    assert!(matches!(cli.verb, Verb::Query(QueryArgs { key, .. }) if key.is_empty()));
}

#[test]
fn a_field_of_a_key_can_be_negative() {
    let cli = Cli::try_parse_from(["shop", "query", "likes", "home", "-1", "--top=3"]);
    assert_eq!(cli.unwrap_err().kind(), clap::error::ErrorKind::ArgumentConflict);
    let cli = Cli::try_parse_from(["shop", "query", "likes", "home", "-1"]).unwrap();
    assert!(matches!(cli.verb, Verb::Query(QueryArgs { key, .. }) if key == ["home", "-1"]));
}

#[test]
fn budgets_and_bounds_of_a_worker_are_flags() {
    let parse = |flags: &[&str]| {
        let cli = Cli::try_parse_from([&["shop", "run", "--source", "-", "--store", "memory:"], flags].concat());
        let Verb::Run(RunArgs { worker, .. }) = cli.unwrap().verb else { panic!("another verb") };
        let portion = crate::app::memory::Portion::of(&worker, 1, 1).unwrap();
        crate::app::open::options(&worker, portion, &[]).unwrap()
    };
    let (plain, default) = (parse(&[]), Options::default());
    assert_eq!((plain.drain_budget, plain.revoke_budget), (default.drain_budget, default.revoke_budget));
    assert_eq!(plain.flush_tiles, default.flush_tiles);
    let given = parse(&["--drain-budget=1m", "--revoke-budget=2s", "--flush-tiles=7", "--flush-bytes=3KiB"]);
    assert_eq!((given.drain_budget, given.revoke_budget), (Span::from_seconds(60), Span::from_seconds(2)));
    assert_eq!((given.flush_tiles, given.flush_bytes), (7, 3 << 10));
    assert_eq!((plain.roll_every, given.roll_every), (default.roll_every, default.roll_every));
    assert_eq!(parse(&["--roll=off"]).roll_every, None);
    let run = ["shop", "run", "--source=-", "--store=s"];
    for wrong in ["--drain-budget=0s", "--flush-tiles=0"] {
        assert!(Cli::try_parse_from(run.into_iter().chain([wrong])).is_err(), "{wrong}");
    }
}

#[test]
fn whatever_answers_can_keep_tiles_or_none() {
    let bytes = |arguments: &[&str]| match Cli::try_parse_from(arguments).unwrap().verb {
        Verb::Serve(ServeArgs { listen, .. }) | Verb::Dev(DevArgs { listen, .. }) => listen.port.cache.tile_cache,
        Verb::Run(RunArgs { port, .. }) => port.cache.tile_cache,
        other => panic!("{other:?}"),
    };
    for verb in [&["shop", "dev"][..], &["shop", "serve", "--store=s"], &["shop", "run", "--source=-", "--store=s"]] {
        assert_eq!(bytes(verb), ByteSize(64 << 20));
        assert_eq!(bytes(&[verb, &["--tile-cache=1GiB"]].concat()), ByteSize(1 << 30));
        assert_eq!(bytes(&[verb, &["--tile-cache=0"]].concat()), ByteSize(0));
    }
}

#[test]
fn limits_of_a_port_are_flags() {
    let parse = |flags: &[&str]| {
        let cli = Cli::try_parse_from([&["shop", "serve", "--store=s"], flags].concat()).unwrap();
        let Verb::Serve(ServeArgs { listen, .. }) = cli.verb else { panic!("another verb") };
        listen.port
    };
    let (plain, default) = (parse(&[]), Limits::default());
    assert_eq!(format!("{:?}", plain.limits.limits()), format!("{default:?}"));
    assert_eq!((plain.compress, plain.cors_origin.len()), (Compress::default(), 0));
    let limits = [
        "--max-request=2MiB",
        "--max-headers=9KiB",
        "--max-streams=3",
        "--max-connections=4",
        "--max-calls=5",
        "--max-watched=6",
        "--max-watched-bytes=7KiB",
        "--max-stream-stall=2m",
        "--max-connection-age=1h",
        "--max-connection-idle=10m",
    ];
    let given = parse(&limits).limits.limits();
    let (age, idle) = (Some(Duration::from_secs(3_600)), Duration::from_secs(600));
    let (request, headers, stall) = (2 << 20, 9 << 10, Duration::from_secs(120));
    let (streams, connections, calls, watched, watched_bytes) = (3, 4, 5, 6, 7 << 10);
    let want = Limits { request, headers, streams, connections, calls, watched, watched_bytes, stall, age, idle };
    assert_eq!(format!("{given:?}"), format!("{want:?}"));
    assert_eq!(
        (plain.watch_interval.to_std(), parse(&["--watch-interval=100ms"]).watch_interval.to_std()),
        (Watching::INTERVAL, Duration::from_millis(100))
    );
    assert_eq!(parse(&["--compress=off"]).compress, Compress::Off);
    assert_eq!(parse(&["--compress=64KiB"]).compress, Compress::From(64 << 10));
    let origins = parse(&["--cors-origin=https://a,http://b:81"]).cors_origin;
    assert_eq!(origins, ["https://a", "http://b:81"].map(|origin| origin.parse().unwrap()));
    let wrong = [
        "--compress=on",
        "--cors-origin=*",
        "--max-calls=0",
        "--max-streams=0",
        "--max-watched=0",
        "--max-stream-stall=0s",
        "--max-connection-age=0s",
        "--watch-interval=99ms",
        "--watch-interval=61m",
    ];
    for wrong in wrong {
        assert!(Cli::try_parse_from(["shop", "serve", "--store=s", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn limits_of_what_one_request_reads_are_flags_of_whatever_answers() {
    let parse = |arguments: &[&str]| -> Result<query::Limits, clap::Error> {
        Ok(match Cli::try_parse_from(arguments)?.verb {
            Verb::Serve(ServeArgs { listen, .. }) | Verb::Dev(DevArgs { listen, .. }) => listen.port.reads.limits(),
            Verb::Run(RunArgs { port, .. }) => port.reads.limits(),
            other => panic!("{other:?}"),
        })
    };
    let default = query::Limits::default();
    for verb in [&["shop", "dev"][..], &["shop", "serve", "--store=s"], &["shop", "run", "--source=-", "--store=s"]] {
        assert_eq!(parse(verb).unwrap(), default);
        let given = ["--max-read-items=3", "--max-read-lookups=4", "--max-read-bytes=5KiB"];
        let want = query::Limits { items: 3, lookups: 4, bytes: 5 << 10, ..default };
        assert_eq!(parse(&[verb, &given].concat()).unwrap(), want);
        for wrong in ["--max-read-items=0", "--max-read-lookups=0", "--max-read-bytes=0", "--max-read-bytes=1023"] {
            assert!(parse(&[verb, &[wrong]].concat()).is_err(), "{wrong}");
        }
    }
}

#[test]
fn a_port_is_for_this_machine_until_something_says_who_may_ask() {
    let is_local = |flags: &[&str]| {
        let cli = Cli::try_parse_from([&["shop", "serve", "--store=s"], flags].concat()).unwrap();
        let Verb::Serve(ServeArgs { listen, .. }) = cli.verb else { panic!("another verb") };
        listen.port.exposure().is_local()
    };
    let tls = ["--tls-cert=c", "--tls-key=k"];
    assert!(is_local(&[]) && is_local(&tls));
    assert!(!is_local(&["--access=a"]) && !is_local(&["--insecure-no-auth"]));
    assert!(!is_local(&[&tls[..], &["--tls-client-ca=a"]].concat()));
}

#[test]
fn a_flush_interval_is_of_all_pipelines_or_of_one() {
    let interval = |pipeline: Option<&str>, seconds| FlushInterval {
        pipeline: pipeline.map(str::to_owned),
        span: Span::from_seconds(seconds),
    };
    assert_eq!("5s".parse(), Ok(interval(None, 5)));
    assert_eq!("likes=1m".parse(), Ok(interval(Some("likes"), 60)));
    for text in ["", "likes=", "0s", "=", "likes=0s"] {
        assert!(text.parse::<FlushInterval>().is_err(), "{text}");
    }
}

#[test]
fn a_day_is_its_first_instant() {
    assert_eq!(instant("2026-05-16").unwrap(), "2026-05-16T00:00:00Z".parse().unwrap());
    assert_eq!(instant("2026-05-16T12:00:00.5Z").unwrap().subsec_nanos(), 500_000_000);
    assert!(instant("yesterday").is_err());
}
