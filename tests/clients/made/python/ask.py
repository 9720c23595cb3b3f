"""Calls every method of the client that `cargo murmur clients` has made for page-traffic.

    ask.py URL QUESTION      prints a JSON object with all replies; QUESTION is one too
    ask.py URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
    ask.py URL brief         the same with a deadline of a second
    ask.py URL watch         prints the views in two replies, each when it comes
    ask.py URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
"""

import json
import sys
from datetime import datetime, timedelta, timezone

import grpc
from google.protobuf.json_format import MessageToDict
from page_traffic.v1 import (
    Calendar,
    CalendarStep,
    PageTrafficClient,
    PageTrafficKey,
    PageTrafficServiceSetOperand,
    Presence,
    ReadOptions,
    SET_OPERATION_UNION,
)

url, asked, *authorities = sys.argv[1:]
# Long, as a machine that is busy is no reason to fail.
patience = timedelta(seconds=300)


def code(call):
    try:
        call()
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


if asked in ("one", "brief"):
    patience = timedelta(seconds=1) if asked == "brief" else patience
    read = [open(name, "rb").read() for name in authorities]
    credentials = grpc.ssl_channel_credentials(*read) if read else None
    with PageTrafficClient(url, token=lambda: "secret", timeout=patience, credentials=credentials) as client:
        print(json.dumps(code(lambda: client.get(PageTrafficKey(page_id="/home")))))
    sys.exit()

if asked == "watch":
    with PageTrafficClient(url) as client:
        watching = client.watch(PageTrafficKey(page_id="/home"))
        for _ in range(2):
            print(json.dumps(str(next(watching).value.views)), flush=True)
        watching.cancel()
    sys.exit()

if asked.startswith("absence="):
    absence = timedelta(milliseconds=int(asked.removeprefix("absence=")))
    with PageTrafficClient(url, absence=absence) as client:
        print(json.dumps(code(lambda: next(client.watch(PageTrafficKey())))))
    sys.exit()

question = json.loads(asked)
keys = [PageTrafficKey(page_id=page) for page in question["pages"]]
key = keys[0]
window, step = (timedelta(seconds=question[name]) for name in ("window", "step"))
start, end = (datetime.fromtimestamp(question[name], timezone.utc) for name in ("start", "end"))
today = Calendar(days=1, zone=question["zone"])


def plain(reply):
    if isinstance(reply, str):
        return reply
    return MessageToDict(reply)


def entries(entries):
    return {"entries": [MessageToDict(entry) for entry in entries]}


with PageTrafficClient(url, timeout=patience) as client:
    watch, many = client.watch(key, timeout=patience), client.watch_many(keys, timeout=patience)
    answers = {
        "replies": {
            "Get": plain(client.get(key)),
            "GetMany": entries(client.get_many(keys)),
            "GetWindow": plain(client.window(key, window, end=end)),
            "GetWindowMany": entries(client.window_many(keys, window, end=end)),
            "GetRange": plain(client.range(key, start, end)),
            "GetRangeMany": entries(client.range_many(keys, start, end)),
            "Series": plain(client.series(key, start, end=end, step=step)),
            "Watch": plain(next(watch)),
            "WatchMany": entries(next(many).entries),
        },
        "today": [
            plain(client.calendar(key, today, end=end)),
            entries(client.calendar_many(keys, today, end=end))["entries"][0],
            plain(client.calendar_series(key, today, end=end, step=CalendarStep(days=1)))["points"][0],
        ],
        "edges": entries(client.get_many([PageTrafficKey(page_id=page) for page in question["edges"]])),
        "presence": {
            name: Presence.Name(
                client.range(
                    PageTrafficKey(page_id=of["page"]),
                    *(datetime.fromtimestamp(of[side], timezone.utc) for side in ("start", "end")),
                ).answer.presence
            )
            for name, of in question["presence"].items()
        },
        "explained": client.get(key, options=ReadOptions(explain=True)).answer.HasField("explanation"),
        "combined": code(
            lambda: client.combine_sets(
                [PageTrafficServiceSetOperand(key=key), PageTrafficServiceSetOperand(key=keys[1], window=window)],
                SET_OPERATION_UNION,
            )
        ),
    }
    watch.cancel()
    many.cancel()
print(json.dumps(answers))
