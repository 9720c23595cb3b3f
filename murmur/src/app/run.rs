use super::cli::{ListenArgs, RunArgs};
use super::exit::Exit;
use super::limits::Limits;
use super::memory::Portion;
use super::print::Output;
use super::progress::{self, Rate, Shown};
use super::serve::Work;
use super::signals::Stop;
use super::team::{self, Equipment, Team};
use super::{App, observe, open, print, serve, table};
use crate::store::Touched;
use crate::{Error, ErrorKind, Result};

/// `run`: from a source to a store, until the end or until asked to stop.
pub(super) async fn run(app: &App, args: &RunArgs) -> Result<Exit> {
    let stop = Stop::listen()?;
    let entries = app.select(&args.pipelines)?;
    if args.listen.is_none() && args.port.tls.is_asked_for() {
        let what =
            "`--tls-cert` is of the port that `--listen` opens, and that is not given; `--metrics-listen` has no TLS";
        return Err(Error::new(ErrorKind::InvalidArgument, what));
    }
    observe::start(app)?;
    open::must_stand(&args.source)?;
    let store = open::store(&args.store.store).await?;
    table::ensure(app, &entries, &*store, args.worker.create_tables).await?;
    let threads = open::threads(&args.worker, &args.source)?;
    let portion = Portion::of(&args.worker, threads, entries.len())?;
    let (reports, gauges) = team::gauges(threads);
    let touched = Touched::new();
    let equipment = Equipment {
        reports,
        store: open::store_of_each(&args.store.store, &store, &touched),
        source: open::source_of_each(&args.source, &store, args.until_end, &args.worker, portion)?,
        dead_letters: open::dead_letters(app, &args.worker, &args.store.store, Some(&args.source))?,
        options: open::options(&args.worker, portion, &entries)?,
    };
    let limits = Limits::new(&args.worker.limits, &entries, open::public_name(&args.source), gauges.clone());
    let mut servers = Vec::new();
    if let Some(address) = args.listen {
        let work = Work { limits: limits.clone(), touched };
        let listen = ListenArgs { listen: address, port: args.port.clone() };
        servers.push(serve::spawn(app, store.clone(), &listen, Some(work), &stop).await?);
    }
    if let Some(address) = args.metrics_listen {
        servers.push(serve::spawn_observed(app, &entries, store, address, limits, &stop).await?);
    }
    let team = Team::start(&entries, equipment, &stop)?;
    let (shown, rate) = (Shown::start(gauges), Rate::start());
    let summary = team.ended().await;
    drop(shown);
    let summary = summary?;
    print::note(format_args!("{}", rate.summary(&summary)));
    if args.output != Output::Table {
        print::data(&format!("{}\n", progress::json(&summary)))?;
    }
    for server in servers {
        server.stop(&stop).await?;
    }
    // Who waits for the end must not take a stop for it. Without an end, a stop is one.
    let unfinished = stop.signal().filter(|_| args.until_end && !summary.ended);
    Ok(unfinished.map_or(Exit::Done, Exit::Signal))
}
