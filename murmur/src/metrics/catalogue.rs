//! Everything that is measured, one line each. `docs/metrics.md` is made from it.

use super::{Kind, Metric};
use metrics::Unit;

/// Seconds: from a read in memory to a store that hardly answers.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bytes, up to the largest item that DynamoDB takes.
const BYTES: &[f64] =
    &[128.0, 512.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 131_072.0, 262_144.0, 327_680.0, 393_216.0, 409_600.0];
/// Items, up to as many as a request may read.
const ITEMS: &[f64] =
    &[0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0];
/// How many to one.
const RATIO: &[f64] = &[0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1_000.0, 10_000.0, 100_000.0];

macro_rules! catalogue {
    ($($name:ident: $metric:literal, $kind:expr, $unit:ident, [$($label:literal),*], $about:literal;)*) => {
        $(
            #[doc = $about]
            pub const $name: Metric =
                Metric { name: $metric, kind: $kind, unit: Unit::$unit, labels: &[$($label),*], about: $about };
        )*

        /// All of them.
        pub const ALL: &[Metric] = &[$($name),*];
    };
}

#[rustfmt::skip]
catalogue! {
    BUILD_INFO: "murmur_build_info", Kind::Gauge, Count, ["version", "program"], "Always 1; says which version of Murmur runs in which program.";
    EVENTS_RECEIVED: "murmur_events_received_total", Kind::Counter, Count, [], "Payloads read from the source, those that were read again after a conflict too.";
    EVENTS_AHEAD: "murmur_events_ahead_total", Kind::Counter, Count, [], "Payloads whose time lies more than an hour ahead of the clock. They are counted, but do not say how fresh the answers are; what comes after them in their partition is late up to their time.";
    EVENTS_APPLIED: "murmur_events_applied_total", Kind::Counter, Count, ["pipeline"], "Payloads that the pipeline has taken in or filtered out.";
    EVENTS_DEAD_LETTERED: "murmur_events_dead_lettered_total", Kind::Counter, Count, ["pipeline", "class"], "Payloads that the pipeline could not count and that lie in the dead letters, with the reason; those that were put there again after a conflict or a full tile count again. Class: `undecodable` (they are no events), `refused` (the pipeline does not take them), `full` (a tile does not, or a sum would leave its range).";
    EVENTS_FILTERED: "murmur_events_filtered_total", Kind::Counter, Count, ["pipeline"], "Events from which the pipeline's function made nothing, as it is written. They are among the applied ones.";
    EVENTS_EXPIRED: "murmur_events_expired_total", Kind::Counter, Count, ["pipeline"], "Contributions of events that came too late: the retention of their time had passed.";
    EVENTS_LATE: "murmur_events_late_total", Kind::Counter, Count, ["pipeline"], "Contributions of events that came after their tile was closed to events in time. They are counted, beside it.";
    EVENTS_ALREADY_APPLIED: "murmur_events_already_applied_total", Kind::Counter, Count, ["pipeline"], "Contributions of events that were read again and skipped, because the store holds them already.";
    EVENTS_REPEATED: "murmur_events_repeated_total", Kind::Counter, Count, ["pipeline"], "Events that the pipeline left out, as their producer had sent them before (`dedup`).";
    TOMBSTONES: "murmur_tombstones_total", Kind::Counter, Count, [], "Records of the source without a payload (tombstones of a compacted topic of Kafka), those that were read again after a conflict too. They are no events, and are passed over.";
    SOURCE_LAG: "murmur_source_lag_records", Kind::Gauge, Count, ["worker"], "Payloads known to wait in the worker's partitions, looked at anew every few seconds where the source can be asked. Not there, or not a number, while a source cannot tell. Worker: its number in the process; there is one for each of `--threads`.";
    SOURCE_LAG_SECONDS: "murmur_source_lag_seconds", Kind::Gauge, Seconds, ["worker"], "How old the oldest payload that waits to be read may be: now minus the time at which the source took in what was read last (the time of a record of Kafka), or the newest event time read where a source keeps no such time, in the partition that is furthest behind of those where something waits; 0 where nothing waits. Not there, or not a number, while that cannot be told.";
    PARTITIONS_OWNED: "murmur_partitions_owned", Kind::Gauge, Count, ["worker"], "Partitions of the source that this worker reads.";
    FRESHNESS: "murmur_freshness_seconds", Kind::Gauge, Seconds, ["worker"], "Now minus the newest event time that is durable, in the partition that is furthest behind; where all that is known to be there is durable, the newest of all partitions. Grows while no events come. Not there, or not a number, while that cannot be told: before the first event is durable, or where events have no time.";
    UNCOMMITTED_AGE: "murmur_uncommitted_age_seconds", Kind::Gauge, Seconds, ["worker"], "How long ago the oldest event was read that is not durable and committed yet; 0 only when there is none.";
    FLUSHES: "murmur_flushes_total", Kind::Counter, Count, [], "Flushes whose writes became durable, but for a few that one may have left behind.";
    FLUSH_DURATION: "murmur_flush_duration_seconds", Kind::Histogram(SECONDS), Seconds, ["outcome"], "From the first write of a flush to its last, repeated ones included. Outcome: `durable`, `behind` (all but a few tiles, which go on by themselves and are measured as another one), `conflict`, `full` (tiles were closed), `failed`.";
    COMBINE_RATIO: "murmur_flush_combine_ratio", Kind::Histogram(RATIO), Count, ["pipeline"], "Events read per tile written, of each flush that writes.";
    TILES_WRITTEN: "murmur_tiles_written_total", Kind::Counter, Count, [], "Tiles written by flushes that became durable.";
    CONFLICTS: "murmur_store_conflicts_total", Kind::Counter, Count, [], "Times that another owner was found to write the same partitions, and the worker went back to its commits.";
    WRITES_RESENT: "murmur_store_writes_resent_total", Kind::Counter, Count, [], "Writes sent again, as they were, because their reply was lost or the store could not take them just then.";
    WRITES_AMBIGUOUS: "murmur_store_writes_ambiguous_total", Kind::Counter, Count, [], "Writes of which nobody knew whether they had been carried out, as their reply was lost. Their condition makes sending them again harmless; they are among those sent again.";
    STORE_REQUEST_DURATION: "murmur_store_request_duration_seconds", Kind::Histogram(SECONDS), Seconds, ["op", "outcome"], "Calls of the store; one call may carry many tiles. Op: `write`, `get`, `range`, `scan`, `record`, `records`, `put_record`. Outcome: `ok`, `refused` (a condition did not hold), `ambiguous` (nobody knows whether it was carried out), `unavailable`, `failed`.";
    STORE_OVERDUE: "murmur_store_overdue_total", Kind::Counter, Count, ["op"], "Calls of the store without an answer after five seconds; counted, and said in the log, while they still wait. Op: as above, without `write`, whose requests are each given up after the store's `timeout` and counted among those sent again.";
    STORE_WRITE_UNITS: "murmur_store_consumed_wcu_total", Kind::Counter, Count, [], "Write units of DynamoDB, as its replies tell (`ReturnConsumedCapacity`). A refused condition costs units that no reply tells.";
    STORE_READ_UNITS: "murmur_store_consumed_rcu_total", Kind::Counter, Count, [], "Read units of DynamoDB, as its replies tell.";
    STORE_THROTTLED: "murmur_store_throttled_total", Kind::Counter, Count, ["of"], "Requests that DynamoDB refused because they were too many, and batches that it left unfinished. Of: `key` where it says that they were too many for one key (a partition takes 1,000 write units a second), `table` otherwise. Reads that the client itself repeated with success are not in it.";
    ITEM_BYTES: "murmur_item_bytes", Kind::Histogram(BYTES), Bytes, [], "Sizes of items put into DynamoDB as a whole; it takes 409,600 bytes. Additions to numbers do not know the size of their item.";
    ROLLS: "murmur_rolls_total", Kind::Counter, Count, ["pipeline", "trigger", "outcome"], "Stretches of slots of one key and level that were to be rolled. Trigger: `read` (a read had to put them together), `write` (a worker wrote them often, and they are finished). Outcome: `rolled`, `empty` (there is nothing in them), `known` (somebody had rolled them, as a worker found), `early` (a partition has not reached their end), `crowded` (too many wait, and a later read asks again), `denied` (this program may not write: a reader rolls nothing from then on, a worker leaves the day to reads), `failed` (a later read asks again).";
    ROLLED_SLOTS: "murmur_rolled_slots_total", Kind::Counter, Count, ["pipeline", "trigger"], "Slots that were rolled: finished tiles whose fold is in the level above, so that reads need not go below. Trigger: as above.";
    ROLL_WRITE_UNITS: "murmur_roll_consumed_wcu_total", Kind::Counter, Count, ["pipeline", "trigger"], "Write units of DynamoDB that rolling took, as its replies tell. They are among all that were consumed. Trigger: as above.";
    ROLL_HELD: "murmur_roll_held_seconds", Kind::Gauge, Seconds, ["pipeline"], "How far what may be rolled lies behind the newest event: the distance, in event time, of the partition that is furthest behind, of those that had events and are not retired. A worker that rolls looks every minute, a reader as it answers. It grows for as long as a partition gets no events; the log names that one once a day is held up.";
    TILE_CACHE_HITS: "murmur_tile_cache_hits_total", Kind::Counter, Count, ["pipeline"], "Tiles that answers needed and the cache of rolled tiles (`--tile-cache`) had, so that they were not read.";
    TILE_CACHE_MISSES: "murmur_tile_cache_misses_total", Kind::Counter, Count, ["pipeline"], "Tiles that were looked for in the cache of rolled tiles and read from the store: it did not have them, or some of the slots that were wanted were not rolled when they were read last.";
    TILE_CACHE_BYTES: "murmur_tile_cache_bytes", Kind::Gauge, Bytes, [], "Memory that the cache of rolled tiles takes; at most what `--tile-cache` says.";
    QUERY_DURATION: "murmur_query_duration_seconds", Kind::Histogram(SECONDS), Seconds, ["rpc", "code"], "Calls with one reply, over any protocol, and streams until they have begun or are refused. Calls that are refused before anything is asked are among them: of callers who are not known or may not, over a limit of the port, with a body that is too large, too late or does not read; these took the time until then. Rpc: `<package>.<Service>/<Method>`, or `none` where a path leads to nothing that every protocol calls. Code: that of gRPC, as Connect writes it, or `ok`. What HTTP alone refuses is not in it: a verb, a `content-type` that is none of gRPC's, headers over their limit.";
    QUERY_ITEMS: "murmur_query_items_read", Kind::Histogram(ITEMS), Count, ["pipeline"], "Stored items (tiles, or their parts) that one request, or one look of a `Watch`, has read for all of its keys, refused ones too; an answer has taken 20,000 at most. What it shared with other requests counts for each of them; looks whether a key is known at all are not in it, nor what a look at time that is not rolled found and dropped, as there was more.";
    WATCH_STREAMS: "murmur_watch_streams", Kind::Gauge, Count, ["pipeline"], "Streams of `Watch` and `WatchMany`.";
    WATCHED_KEYS: "murmur_watched_keys", Kind::Gauge, Count, ["pipeline"], "Keys that they watch, each as often as streams watch it; a server has `--max-watched` at most, of all its pipelines together.";
    WATCHED_BYTES: "murmur_watched_bytes", Kind::Gauge, Bytes, [], "Bytes of watched keys and their answers that are kept, as replies have them, each once for all streams that watch it; a server keeps `--max-watched-bytes` at most.";
    WATCH_LOOKS: "murmur_watch_looks_total", Kind::Counter, Count, ["pipeline"], "Looks at the store for them. One is of up to 1,000 keys, and serves all of their streams.";
    WATCH_SKIPPED: "murmur_watch_values_skipped_total", Kind::Counter, Count, ["pipeline"], "Values that a stream left out, as a newer one was there when its reader had room again. They are counted then.";
    TLS_HANDSHAKES: "murmur_tls_handshakes_total", Kind::Counter, Count, ["outcome"], "Connections that began, on a port with TLS. Outcome: `done`, `failed` (no certificate of an authority that the port asks for, or no version in common; the log says more at `debug`), `late` (it took longer than ten seconds), `plain` (it was plain HTTP).";
    TLS_RELOADS: "murmur_tls_reloads_total", Kind::Counter, Count, ["outcome"], "Times that the files of `--tls-cert`, `--tls-key` or `--tls-client-ca` had changed. Outcome: `loaded`, `refused` (they cannot be used, the log says why, and the port goes on with what it had).";
    TLS_EXPIRY: "murmur_tls_certificate_expires_timestamp_seconds", Kind::Gauge, Seconds, [], "When the certificate of the port expires, in seconds since 1970.";
}
