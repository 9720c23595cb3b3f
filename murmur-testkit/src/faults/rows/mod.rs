//! The rows of the fault matrix, in groups; every group is a file, and every row stands in the table here.

mod broker;
mod crash;
mod elsewhere;
mod group;
mod harness;
mod input;
mod later;
mod letters;
mod mix;
mod network;
mod resources;
mod tables;
mod throttle;

use futures_util::future::BoxFuture;

use super::{Failure, Finding, Settings};
pub use elsewhere::{Elsewhere, Instead};

type Begin = fn(Settings) -> BoxFuture<'static, Result<Finding, Failure>>;

/// A fault, and what is promised of it.
pub struct Row {
    /// As in `F05`; those with an H are about the harness itself.
    pub number: &'static str,
    /// The fault.
    pub about: &'static str,
    /// What must hold.
    pub promise: &'static str,
    /// The names of verdicts that keep the promise.
    pub allows: &'static [&'static str],
    pub(super) run: Begin,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.number)
    }
}

const EXACT: &[&str] = &["EXACT"];
const REFUSED: &[&str] = &["REFUSED"];

macro_rules! row {
    ($number:literal, $run:path, $allows:expr, $about:literal, $promise:literal) => {
        Row {
            number: $number,
            about: $about,
            promise: $promise,
            allows: $allows,
            run: |settings| Box::pin($run(settings)),
        }
    };
}

static ROWS: &[Row] = &[
    row!(
        "F01",
        crash::after_the_write,
        EXACT,
        "killed after a write, before the commit",
        "what is read again changes nothing"
    ),
    row!("F02", crash::before_the_write, EXACT, "killed before a write", "nothing is lost"),
    row!("F03", crash::within_a_flush, EXACT, "killed in the middle of a flush of many tiles", "every tile is exact"),
    row!(
        "F04",
        network::unanswered,
        EXACT,
        "a write is carried out and its answer lost",
        "it is not applied twice, and is counted as ambiguous"
    ),
    row!(
        "F05",
        group::zombie,
        EXACT,
        "a worker stands still until another has its partitions, and wakes up",
        "what it still writes and commits has no effect"
    ),
    row!(
        "F06",
        group::storm,
        EXACT,
        "workers join and leave without end",
        "exact, and what came before a change is committed before the next"
    ),
    row!(
        "F07",
        network::out_of_order,
        EXACT,
        "one key is slow, and workers are killed",
        "others are written meanwhile, and no commit is ahead of the tables"
    ),
    row!(
        "F08",
        input::sent_twice,
        EXACT,
        "the producer sends an event twice, and workers are killed",
        "with `dedup` it counts once; farther apart than the horizon, twice"
    ),
    row!(
        "F09",
        letters::poison,
        EXACT,
        "payloads that do not decode, some of a megabyte, and panics in the pipeline and in what reads payloads",
        "each is a dead letter before the commit passes it"
    ),
    row!(
        "F10",
        letters::no_place,
        EXACT,
        "the topic of dead letters is out of reach",
        "the workers wait and say so, commit nothing meanwhile, and drop nothing"
    ),
    row!(
        "F11",
        letters::poison_storm,
        REFUSED,
        "seven of ten payloads do not decode any more",
        "the worker stops and says why, and moves nothing of the log to the dead letters, however often it is started"
    ),
    row!(
        "F12",
        throttle::throttled,
        EXACT,
        "the tables throttle 30 to 100 % of the requests",
        "its memory is bounded and it reads no further than that, and goes on when they are done; what is refused is sent again and nothing that was carried out; a worker that starts meanwhile, and queries, read everything"
    ),
    row!(
        "F13",
        throttle::hot_key,
        EXACT,
        "nine of ten events have one key, whose write units are limited",
        "it is written within its units, and other keys are written meanwhile, their events hardly later than without it"
    ),
    row!(
        "F14",
        group::one_key,
        EXACT,
        "many workers write one key",
        "where they share an item none of their writes is lost or doubled, and each of them goes on"
    ),
    row!(
        "F15",
        network::black_hole,
        EXACT,
        "the tables cannot be reached: nothing comes back",
        "workers keep their partitions, and it heals by itself within a minute"
    ),
    row!(
        "F16",
        network::one_way_to_the_broker,
        EXACT,
        "the broker cannot be reached, in one direction or the other",
        "another one takes over, nothing is committed that is not durable or comes too late, and it heals by itself"
    ),
    row!(
        "F17",
        broker::killed,
        EXACT,
        "the broker is killed and starts again",
        "it goes on where it was, and workers end for no reason but that they were fenced"
    ),
    row!(
        "F17b",
        broker::led_by_others,
        EXACT,
        "of three brokers the one dies that leads partitions, or the group, and comes back",
        "it goes on while that one is away, no worker ends, and no event is read again"
    ),
    row!(
        "F18",
        broker::overtaken,
        REFUSED,
        "what the worker was to read next is deleted",
        "it refuses to jump, and says what is missing; it goes on when that is accepted"
    ),
    row!(
        "F21",
        tables::stale,
        EXACT,
        "tables answer with what stood there before",
        "a strong read sees every write that was acknowledged, and the worker is exact; default reads may be behind"
    ),
    row!(
        "F22",
        input::clock_skew,
        EXACT,
        "the clocks of workers are hours off, either way",
        "windows follow the events' own times"
    ),
    row!(
        "F23",
        input::late_and_early,
        EXACT,
        "events of yesterday, of days ago, and of the future",
        "counted where they belong, whenever the worker is killed; it says how many were late, ahead and expired, and leaves out what has expired"
    ),
    row!(
        "F24",
        later::expired_on_the_way,
        EXACT,
        "tiles expire, and the table removes them, while writes to them are on their way",
        "nobody adds to them, and what arrives all the same is never answered"
    ),
    row!(
        "F25",
        later::another_definition,
        EXACT,
        "the definition changes under load, and the first version comes back",
        "a new field and another name count on beside the first version; what would leave a field out, or read it as something else, is refused"
    ),
    row!(
        "F26",
        input::too_large,
        EXACT,
        "an item grows beyond what the table takes, and workers are killed",
        "what it cannot take is in the dead letters, each at least once and exactly as it came, and copies have the same id; all others go on"
    ),
    row!(
        "F27",
        letters::bad_keys,
        EXACT,
        "keys that are too long, and strange ones",
        "those that cannot be kept are dead letters, the others count"
    ),
    row!(
        "F33",
        crash::terminated,
        EXACT,
        "SIGTERM under load",
        "exit code 0 within the budget, nothing lost, nothing read again; another has its partitions within seconds; who cannot write gives up after the budget, and commits nothing of it"
    ),
    row!(
        "F35",
        group::grown,
        EXACT,
        "partitions are added to the topic",
        "they are found within seconds, and read from their first message on"
    ),
    row!(
        "F38",
        tables::denied,
        EXACT,
        "credentials expire, and access is denied, for a while",
        "workers say so and wait, those too that are started meanwhile, and go on by themselves"
    ),
    row!(
        "F39",
        resources::no_descriptors,
        EXACT,
        "no file descriptors are left, and connections break",
        "it waits, does not end, and heals when there are some"
    ),
    row!(
        "F40",
        input::impostor,
        REFUSED,
        "another pipeline is started on the tables of this one",
        "it is refused with exit code 3, as often as it is tried, and nothing changes"
    ),
    row!(
        "F42",
        tables::damaged,
        REFUSED,
        "what is stored of a tile is damaged",
        "an error names the tile; it is never taken for empty, and is exact when it is restored"
    ),
    row!(
        "F43",
        mix::random,
        EXACT,
        "everything together, at random",
        "exact, and all is counted within a minute of the last fault"
    ),
    row!("H01", harness::loss, &["UNDER"], "tables that say they have written, and have not", "the harness sees it"),
    row!("H02", harness::doubling, &["OVER"], "tables that write some additions twice", "the harness sees it"),
];

/// All rows that are built.
pub fn rows() -> &'static [Row] {
    ROWS
}

/// The numbers of the fault matrix that have no row.
pub fn elsewhere() -> &'static [Elsewhere] {
    elsewhere::ELSEWHERE
}

/// The row of this number.
pub fn find(number: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.number.eq_ignore_ascii_case(number))
}
