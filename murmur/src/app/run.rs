use super::cli::RunArgs;
use super::entry::{self, Parts};
use super::exit::Exit;
use super::print::Output;
use super::progress::{self, Rate, Shown};
use super::signals::Stop;
use super::{App, open, print, serve, table};
use crate::Result;

/// `run`: from a source to a store, until the end or until asked to stop.
pub(super) async fn run(app: &App, args: &RunArgs) -> Result<Exit> {
    let stop = Stop::listen()?;
    let entries = app.select(&args.pipelines)?;
    open::must_stand(&args.source)?;
    let store = open::store(&args.store.store).await?;
    table::ensure(app, &entries, &*store, args.worker.create_tables).await?;
    let parts = Parts {
        source: open::source(&args.source, store.clone(), args.until_end, &args.worker)?,
        dead_letters: open::dead_letters(app, &args.worker, &args.store.store, Some(&args.source))?,
        options: open::options(&args.worker),
        store: store.clone(),
    };
    let worker = entry::worker(&entries, parts)?;
    let server = match args.listen {
        Some(address) => Some(serve::spawn(app, store, address, &args.exposure, &stop).await?),
        None => None,
    };
    let (shown, rate) = (Shown::start(worker.progress()), Rate::start());
    let summary = worker.run(stop.watch()).await;
    drop(shown);
    let summary = summary?;
    print::note(format_args!("{}", rate.summary(&summary)));
    if args.output != Output::Table {
        print::data(&format!("{}\n", progress::json(&summary)))?;
    }
    if let Some(server) = server {
        server.stop(&stop).await?;
    }
    let unfinished = args.until_end && !summary.ended && stop.was_interrupt();
    Ok(if unfinished { Exit::Interrupted } else { Exit::Done })
}
