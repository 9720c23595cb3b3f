//! From URLs to sources and stores.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt;

use super::cli::{FlushInterval, Roll, WorkerArgs};
use super::entry::Entry;
use super::memory::Portion;
use super::team::{Equip, Share};
use super::{App, GENERATION};
use crate::engine::Options;
use crate::location::Location;
use crate::source::jsonl::{self, JsonlConfig};
use crate::source::{FileDeadLetters, Source};
use crate::store::{EmbeddedConfig, EmbeddedStore, MemoryStore, Store, Touched};
use crate::{Error, ErrorKind, Result};

/// The store at a URL, made when there is none yet.
pub(super) async fn store(location: &Location) -> Result<Arc<dyn Store>> {
    open_store(location, true).await
}

/// The store at a URL, for those who only read: one that is not there is a mistake, and must not come to be by it.
pub(super) async fn standing_store(location: &Location) -> Result<Arc<dyn Store>> {
    if is_memory(location) {
        let context = "what lies in memory is seen by its own process only; `run` and `dev` serve it with `--listen`";
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    open_store(location, false).await
}

async fn open_store(location: &Location, create: bool) -> Result<Arc<dyn Store>> {
    Ok(match location.scheme() {
        _ if is_memory(location) => Arc::new(MemoryStore::new()),
        None | Some("embedded") => {
            no_half_scheme(location, "embedded")?;
            let config = EmbeddedConfig::parse(location.text())?;
            Arc::new(EmbeddedStore::open(&EmbeddedConfig { create, ..config })?)
        }
        Some("dynamodb") => dynamodb(location).await?,
        Some(scheme) => {
            let known = "`embedded://FOLDER`, a folder, `dynamodb://PREFIX`, `memory:`";
            return Err(unknown(location, scheme, "store", known));
        }
    })
}

#[cfg(feature = "dynamodb")]
async fn dynamodb(location: &Location) -> Result<Arc<dyn Store>> {
    let config = crate::store::DynamoConfig::parse(&location.to_string())?;
    Ok(Arc::new(crate::store::DynamoStore::open(&config).await?))
}

#[cfg(not(feature = "dynamodb"))]
async fn dynamodb(location: &Location) -> Result<Arc<dyn Store>> {
    let context = format!(
        "`{location}`: this program was built without DynamoDB; give `murmur` the feature `dynamodb` in its Cargo.toml"
    );
    Err(Error::new(ErrorKind::Configuration, context))
}

/// `embedded:folder` is no folder of that name.
fn no_half_scheme(location: &Location, scheme: &str) -> Result<()> {
    match location.scheme() {
        None if location.path().strip_prefix(scheme).is_some_and(|rest| rest.starts_with(':')) => {
            let context = format!("`{location}`: write `{scheme}://PATH`, or the path alone");
            Err(Error::new(ErrorKind::InvalidArgument, context))
        }
        _ => Ok(()),
    }
}

/// Whether the state lies in a folder.
fn is_folder(location: &Location) -> bool {
    matches!(location.scheme(), None | Some("embedded")) && !is_memory(location)
}

fn is_memory(location: &Location) -> bool {
    location.scheme() == Some("memory") || (location.scheme().is_none() && location.path() == "memory:")
}

fn unknown(location: &Location, scheme: &str, what: &str, known: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("`{location}`: there is no {what} `{scheme}`; there are: {known}"))
}

/// A file or folder that is not there is said before anything is made for it.
pub(super) fn must_stand(source: &Location) -> Result<()> {
    let is_file = source.scheme().is_none_or(|scheme| scheme == "file") && source.path() != "-";
    if is_file && !Path::new(source.path()).exists() {
        return Err(Error::new(ErrorKind::NotFound, format!("the source `{source}` does not exist")));
    }
    Ok(())
}

/// A source as anybody may know it who asks whether its worker is ready: without the addresses of servers.
pub(super) fn public_name(source: &Location) -> String {
    match (source.scheme(), source.path().split_once('/')) {
        (None | Some("file"), _) => format!("`{}`", source.path()),
        (Some(scheme), Some((_, path))) => format!("`{scheme}://…/{path}`"),
        (Some(scheme), None) => format!("`{scheme}://…`"),
    }
}

/// How many workers there are: one a core where the source has a share for each.
pub(super) fn threads(args: &WorkerArgs, source: &Location) -> Result<u32> {
    let has_shares = source.scheme() == Some("kafka");
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    match args.threads {
        None if has_shares => Ok(cores()),
        None | Some(1) => Ok(1),
        Some(threads) if has_shares => Ok(threads),
        Some(_) => {
            let context = format!("`--threads`: `{source}` is read by one worker; only topics of Kafka are shared out");
            Err(Error::new(ErrorKind::InvalidArgument, context))
        }
    }
}

/// The store of each worker. A connection is driven by the runtime that opened it, so that workers which reach their
/// store over the network have one each.
pub(super) fn store_of_each(location: &Location, opened: &Arc<dyn Store>, touched: &Touched) -> Equip<Arc<dyn Store>> {
    let (location, opened, touched) = (location.clone(), opened.clone(), touched.clone());
    Arc::new(move |_| {
        let (location, opened, touched) = (location.clone(), opened.clone(), touched.clone());
        async move {
            let store = if is_remote(&location) { store(&location).await? } else { opened };
            Ok(touched.store(store))
        }
        .boxed()
    })
}

/// Whether a store lies behind a network.
fn is_remote(location: &Location) -> bool {
    location.scheme() == Some("dynamodb")
}

/// The source of each worker at a URL, whose positions are kept in `store`.
pub(super) fn source_of_each(
    location: &Location,
    store: &Arc<dyn Store>,
    until_end: bool,
    args: &WorkerArgs,
    portion: Portion,
) -> Result<Equip<Box<dyn Source>>> {
    match location.scheme() {
        None | Some("file") => {
            no_half_scheme(location, "file")?;
            let mut config = JsonlConfig::parse(location.text())?;
            config.follow &= !until_end;
            let store = store.clone();
            Ok(Arc::new(move |_| {
                let source = jsonl::open(config.clone(), store.clone());
                async { Ok(source) }.boxed()
            }))
        }
        Some("kafka") => kafka_source(location, until_end, args, portion),
        Some(scheme) => {
            Err(unknown(location, scheme, "source", "`file://PATH`, a file, a folder, `-`, `kafka://BROKER/TOPIC`"))
        }
    }
}

#[cfg(feature = "kafka")]
fn kafka_source(
    location: &Location,
    until_end: bool,
    args: &WorkerArgs,
    portion: Portion,
) -> Result<Equip<Box<dyn Source>>> {
    use crate::source::kafka::{self, KafkaConfig};
    let mut config = KafkaConfig::of(location.clone())?;
    config.until_end = until_end;
    config.buffer = config.buffer.min(portion.buffer);
    // A topic of dead letters keeps keys and headers, so that a letter can be sent again as it was.
    config.metadata |= args.dead_letters.as_ref().is_some_and(|letters| letters.scheme() == Some("kafka"));
    Ok(Arc::new(move |reader| {
        let mut config = config.clone();
        config.reader = reader;
        async { kafka::open(config) }.boxed()
    }))
}

#[cfg(not(feature = "kafka"))]
fn kafka_source(location: &Location, _: bool, _: &WorkerArgs, _: Portion) -> Result<Equip<Box<dyn Source>>> {
    Err(no_kafka(location))
}

#[cfg(feature = "kafka")]
fn kafka_letters(location: &Location, app: &App, source: Option<&Location>) -> Result<Share> {
    use crate::source::kafka::KafkaConfig;
    use crate::source::{KafkaDeadLetters, KafkaLettersConfig};
    let config = KafkaLettersConfig::of(location.clone(), app.name)?;
    if let Some(source) = source.filter(|source| source.scheme() == Some("kafka"))
        && KafkaConfig::of(source.clone())?.topics.contains(&config.topic)
    {
        let context = format!("the source `{source}` would read its own dead letters, as they go to `{location}`");
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    let letters = KafkaDeadLetters::open(&config)?;
    Ok(Box::new(move || Box::new(letters.share())))
}

#[cfg(not(feature = "kafka"))]
fn kafka_letters(location: &Location, _: &App, _: Option<&Location>) -> Result<Share> {
    Err(no_kafka(location))
}

#[cfg(not(feature = "kafka"))]
fn no_kafka(location: &Location) -> Error {
    let context = format!("`{location}`: this binary was built without Kafka; enable the feature `kafka` of `murmur`");
    Error::new(ErrorKind::InvalidArgument, context)
}

/// Where the dead letters go: where it was said, or beside the state. Never where `source` would read them again.
pub(super) fn dead_letters(app: &App, args: &WorkerArgs, store: &Location, source: Option<&Location>) -> Result<Share> {
    let folder = match &args.dead_letters {
        Some(topic) if topic.scheme() == Some("kafka") => return kafka_letters(topic, app, source),
        Some(folder) if folder.scheme().is_none_or(|scheme| scheme == "file") => PathBuf::from(folder.path()),
        Some(other) => {
            let scheme = other.scheme().unwrap_or_default();
            return Err(unknown(other, scheme, "place for dead letters", "a folder, `kafka://BROKER/TOPIC`"));
        }
        None if is_folder(store) => PathBuf::from(store.path()).join("dead-letters"),
        None => {
            let folder = PathBuf::from(".murmur").join(app.name).join("dead-letters");
            if store.scheme().is_some_and(|scheme| scheme != "memory") {
                tracing::warn!(
                    folder = %folder.display(),
                    "dead letters go to a folder of this machine, though the store is elsewhere: where the machine is a \
                     container, they are gone with it, and the events in them are counted nowhere. Say with \
                     `--dead-letters` where they are to be kept: a folder that outlives the machine, or \
                     `kafka://BROKER/TOPIC`"
                );
            }
            folder
        }
    };
    let letters = FileDeadLetters::open(folder.clone())?;
    if let Some(source) = source.filter(|source| reads(Path::new(source.path()), &folder)) {
        let context = format!(
            "the source `{source}` would read its own dead letters, as they lie in `{}`; keep them elsewhere with \
             `--dead-letters`, or the store elsewhere",
            folder.display()
        );
        return Err(Error::new(ErrorKind::InvalidArgument, context));
    }
    Ok(Box::new(move || Box::new(letters.share())))
}

/// Whether a source at this path reads files of that folder. Names that begin with a dot are passed over.
fn reads(source: &Path, folder: &Path) -> bool {
    let (Ok(source), Ok(folder)) = (source.canonicalize(), folder.canonicalize()) else { return false };
    let is_hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    folder.strip_prefix(&source).is_ok_and(|inside| !inside.components().any(is_hidden))
}

/// How a worker goes about it.
pub(super) fn options(args: &WorkerArgs, portion: Portion, entries: &[Entry]) -> Result<Options> {
    let mut options = Options {
        dead_letter_limit: args.dead_letter_limit,
        flush_tiles: args.flush_tiles,
        flush_bytes: portion.flush.0,
        roll_bytes: portion.roll.0,
        drain_budget: args.drain_budget,
        revoke_budget: args.revoke_budget,
        generation: GENERATION,
        #[cfg(feature = "otlp")]
        span_links: super::otlp::span_links(),
        ..Options::default()
    };
    if args.roll == Roll::Off {
        options.roll_every = None;
    }
    for FlushInterval { pipeline, span } in &args.flush_interval {
        match pipeline {
            None => options.flush_interval = *span,
            Some(name) if entries.iter().any(|entry| entry.spec.name == name) => {
                options.pipeline_intervals.insert(name.clone(), *span);
            }
            Some(name) => {
                let context = format!("`--flush-interval {name}={span}`: there is no pipeline `{name}` here");
                return Err(Error::new(ErrorKind::InvalidArgument, context));
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn who_only_reads_makes_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("typo");
        for url in [path.display().to_string(), format!("embedded://{}", path.display())] {
            let refused = standing_store(&url.parse().unwrap()).await.err().unwrap();
            assert_eq!(refused.kind(), ErrorKind::NotFound);
        }
        assert!(!path.exists());
        assert!(standing_store(&"memory:".parse().unwrap()).await.is_err());

        let url = path.display().to_string().parse().unwrap();
        drop(store(&url).await.unwrap());
        assert!(standing_store(&url).await.is_ok());
    }

    #[test]
    fn a_source_that_is_not_there_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("typo.jsonl").display().to_string();
        for url in [missing.clone(), format!("file://{missing}")] {
            assert_eq!(must_stand(&url.parse().unwrap()).err().unwrap().kind(), ErrorKind::NotFound);
        }
        for url in ["-", "kafka://broker/views", &folder.path().display().to_string()] {
            assert!(must_stand(&url.parse().unwrap()).is_ok());
        }
    }

    #[test]
    fn addresses_and_options_of_a_source_are_not_for_everybody() {
        for (url, name) in [
            ("kafka://a:9092,b:9092/views,clicks?group=g", "`kafka://…/views,clicks`"),
            ("kafka://a:9092", "`kafka://…`"),
            ("file:///data/views?every=1s", "`/data/views`"),
            ("-", "`-`"),
        ] {
            assert_eq!(public_name(&url.parse().unwrap()), name);
        }
    }

    #[test]
    #[cfg(not(feature = "kafka"))]
    fn a_binary_without_kafka_says_how_to_get_it() {
        let app = App::new("shop", crate::app::Contracts::default());
        let refused = kafka_letters(&"kafka://b:9092/dead".parse().unwrap(), &app, None).err().unwrap();
        assert!(refused.to_string().contains("enable the feature `kafka`"), "{refused}");
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn letters_do_not_go_to_a_topic_that_is_read() {
        let app = App::new("shop", crate::app::Contracts::default());
        let letters = "kafka://b:9092/dead".parse().unwrap();
        let source = |topics: &str| format!("kafka://b:9092/{topics}?group=g").parse::<Location>().unwrap();
        kafka_letters(&letters, &app, Some(&source("views"))).map(drop).unwrap();
        kafka_letters(&letters, &app, Some(&"-".parse().unwrap())).map(drop).unwrap();
        let refused = kafka_letters(&letters, &app, Some(&source("views,dead"))).err().unwrap();
        assert!(refused.to_string().contains("its own dead letters"), "{refused}");
    }

    #[tokio::test]
    async fn a_scheme_without_slashes_is_no_folder() {
        let half: Location = "embedded:state".parse().unwrap();
        assert_eq!(store(&half).await.err().unwrap().kind(), ErrorKind::InvalidArgument);
        assert!(!Path::new("embedded:state").exists());
    }

    #[test]
    fn a_source_does_not_read_what_it_could_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["views/state/dead-letters", "views/.murmur/dead-letters", "state/dead-letters"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("views/a.jsonl"), "").unwrap();
        assert!(reads(&path("views"), &path("views/state/dead-letters")));
        assert!(reads(&path("views/../views"), &path("views")));
        assert!(!reads(&path("views"), &path("views/.murmur/dead-letters")));
        assert!(!reads(&path("views"), &path("state/dead-letters")));
        assert!(!reads(&path("views/a.jsonl"), &path("views")));
    }
}
