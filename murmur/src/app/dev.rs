use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::ask::Ask;
use super::call::{Server, Service};
use super::cli::DevArgs;
use super::entry::Entry;
use super::exit::Exit;
use super::generator::{Generate, Generator};
use super::limits::Limits;
use super::memory::Portion;
use super::progress::Rate;
use super::serve::Work;
use super::signals::Stop;
use super::team::{self, Equip, Equipment, Gauges, Team};
use super::{App, observe, open, print, serve, table, top};
use crate::engine::{Clock, SystemClock};
use crate::source::Source;
use crate::store::{Store, Touched};
use crate::time::{Span, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Between two tables on a terminal, where each replaces the one before, and elsewhere.
const ON_TERMINAL: Duration = Duration::from_secs(1);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// `dev`: everything in one process, with a table of answers that is always fresh.
pub(super) async fn dev(app: &App, args: &DevArgs) -> Result<Exit> {
    let stop = Stop::listen()?;
    let entries = app.select(&args.pipelines)?;
    observe::start(app)?;
    let location = match &args.store {
        Some(location) => location.clone(),
        None => format!("embedded://.murmur/{}", app.name).parse()?,
    };
    args.source.as_ref().map_or(Ok(()), open::must_stand)?;
    let store = open::store(&location).await?;
    table::ensure(app, &entries, &*store, args.worker.create_tables).await?;
    let threads = args.source.as_ref().map_or(Ok(1), |location| open::threads(&args.worker, location))?;
    let portion = Portion::of(&args.worker, threads, entries.len())?;
    let source: Equip<Box<dyn Source>> = match (&args.source, app.generator) {
        (Some(location), _) => open::source_of_each(location, &store, false, &args.worker, portion)?,
        (None, Some(line)) => {
            let step = Span::from_micros(1_000_000 / args.rate);
            let start = Timestamp::from_millis(SystemClock.now().as_micros() / 1_000);
            let stream = Generate { seed: args.choices.seed, keys: args.choices.keys, start, step };
            Arc::new(move |_| {
                let source: Box<dyn Source> = Box::new(Generator::new(stream.clone(), line));
                async { Ok(source) }.boxed()
            })
        }
        (None, None) => {
            let context = format!("`{}` has no generator of events; say with `--source` what to read", app.name);
            return Err(Error::new(ErrorKind::InvalidArgument, context));
        }
    };
    let (reports, gauges) = team::gauges(threads);
    let touched = Touched::new();
    let equipment = Equipment {
        reports,
        store: open::store_of_each(&location, &store, &touched),
        source,
        dead_letters: open::dead_letters(app, &args.worker, &location, args.source.as_ref())?,
        options: open::options(&args.worker, portion, &entries)?,
    };

    let source_name = args.source.as_ref().map_or_else(|| "of made-up events".to_owned(), open::public_name);
    let limits = Limits::new(&args.worker.limits, &entries, source_name, gauges.clone());
    let work = Work { limits, touched };
    let server = serve::spawn(app, store.clone(), &args.listen, Some(work), &stop).await?;
    print::note(format_args!("state in {location}; Ctrl-C ends it"));
    let local = Server::Local(serve::in_process(app, store.clone()).await?);
    let tables = entries
        .iter()
        .map(|entry| Ok((*entry, Service::new(local.clone(), &app.contracts, entry)?)))
        .collect::<Result<Vec<_>>>()?;
    let team = Team::start(&entries, equipment, &stop)?;
    let mut view = View { tables, store, rows: args.rows, gauges, rate: Rate::start(), lines: 0 };

    let summary = {
        let work = team.ended();
        tokio::pin!(work);
        tokio::select! {
            summary = &mut work => summary,
            error = view.refresh() => {
                error?;
                work.await
            }
        }
    }?;
    if summary.ended {
        view.show().await?;
    }
    print::note(format_args!("{}", view.rate.summary(&summary)));
    if summary.ended {
        // A bounded source has been read; what came of it can still be asked for.
        stop.asked().await;
    }
    server.stop(&stop).await?;
    Ok(Exit::Done)
}

/// Lines of the terminal; `None` when standard output is not one.
fn terminal_height() -> Option<usize> {
    let size = terminal_size::terminal_size().filter(|_| io::stdout().is_terminal());
    size.map(|(_, height)| usize::from(height.0))
}

/// The tables of answers.
struct View {
    tables: Vec<(Entry, Service)>,
    store: Arc<dyn Store>,
    rows: usize,
    gauges: Gauges,
    rate: Rate,
    /// Lines of the last view on the terminal, which the next one replaces.
    lines: usize,
}

impl View {
    /// Show again and again; ends with an error only.
    async fn refresh(&mut self) -> Result<()> {
        let terminal = io::stdout().is_terminal();
        let mut pause = if terminal { ON_TERMINAL } else { ELSEWHERE };
        loop {
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            self.show().await?;
            // A large store takes long to look through; most of the time belongs to the worker.
            pause = pause.max(began.elapsed() * 10);
        }
    }

    async fn show(&mut self) -> Result<()> {
        let terminal = terminal_height();
        let mut text = format!("{}\n", self.rate.line(&self.gauges.now()));
        for (entry, service) in &self.tables {
            let rows = top::top(&*self.store, entry, service, &Ask::default(), self.rows, None).await?;
            text.push_str(&format!(
                "{}\n{}",
                entry.spec.name,
                print::table(rows.iter().map(|row| service.columns(row)), terminal.map(|_| 1))
            ));
        }
        if let Some(height) = terminal {
            // What has scrolled away cannot be replaced.
            text = text.lines().take(height.saturating_sub(1)).fold(String::new(), |text, line| text + line + "\n");
        }
        let back = match self.lines {
            lines if lines > 0 && terminal.is_some() => format!("\x1b[{lines}A\x1b[J"),
            _ => String::new(),
        };
        self.lines = text.lines().count();
        print::data(&format!("{back}{text}"))
    }
}
