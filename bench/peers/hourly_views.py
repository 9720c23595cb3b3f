"""Views per page and hour by Bytewax, from a topic to its end.

Arguments: brokers, topic, file for the counts (page, start of the hour in milliseconds and count, separated by tabs).
Prints one JSON object: the peak of resident memory.

One worker, as a second thread would wait for the same interpreter; no recovery store, which would only add to its cost.
"""

import json
import re
import sys
from datetime import datetime, timedelta, timezone

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, count_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
HOUR_MS = 3_600_000


class Rows(StatelessSinkPartition):
    def __init__(self, path):
        self._file = open(path, "w")

    def write_batch(self, items):
        self._file.writelines(f"{page}\t{hour * HOUR_MS}\t{count}\n" for page, (hour, count) in items)

    def close(self):
        self._file.close()


class File(DynamicSink):
    def __init__(self, path):
        self._path = path

    def build(self, step_id, worker_index, worker_count):
        return Rows(self._path)


def view(message):
    """Page and time of one view."""
    fields = json.loads(message.value)
    return fields["page_id"], datetime.fromtimestamp(fields["viewed_at"] / 1_000, timezone.utc)


def flow(brokers, topic, path):
    flow = Dataflow("hourly_views")
    messages = op.input("messages", flow, KafkaSource(brokers.split(","), [topic], tail=False))
    counts = count_window(
        "hours",
        op.map("decode", messages, view),
        # The grace of the other peer.
        EventClock(ts_getter=lambda view: view[1], wait_for_system_duration=timedelta(hours=12)),
        # Windows are numbered from here, so that a number is an hour since 1970.
        TumblingWindower(align_to=EPOCH, length=timedelta(hours=1)),
        key=lambda view: view[0],
    )
    op.output("rows", counts.down, File(path))
    return flow


def peak_mebibytes():
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s*(\d+)", status.read())[1]) // 1_024


if __name__ == "__main__":
    brokers, topic, path = sys.argv[1:]
    run_main(flow(brokers, topic, path))
    print(json.dumps({"rss_mib": peak_mebibytes()}))
