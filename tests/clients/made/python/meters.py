"""Asks by the client that `cargo murmur clients` has made for meters, whose key has a field of each type.

    meters.py URL QUESTION      prints a JSON object with all replies; QUESTION is one too
"""

import json
import sys
from datetime import datetime, timedelta

from google.protobuf.json_format import MessageToDict
from murmur_tests.v1 import ByMeterClient, ByMeterKey, ByMeterServiceSetOperand, SetOperation

url, question = sys.argv[1], json.loads(sys.argv[2])
# Long, as a machine that is busy is no reason to fail.
patience = timedelta(seconds=300)


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def key(fields):
    serial, floor, indoors, since, place = fields
    return ByMeterKey(serial=int(serial), floor=int(floor), indoors=indoors, since=instant(since), place=place)


keys = [key(fields) for fields in question["keys"]]


def operand(of):
    window = timedelta(seconds=of["window"]) if "window" in of else None
    start, end = (instant(of[side]) if side in of else None for side in ("start", "end"))
    return ByMeterServiceSetOperand(key=keys[of["key"]], window=window, start=start, end=end)


with ByMeterClient(url, timeout=patience) as client:
    watching = client.watch_many(keys, timeout=patience)
    watched = next(watching).entries
    watching.cancel()
    answers = {
        "one": [MessageToDict(client.get(key)) for key in keys],
        "many": [MessageToDict(entry) for entry in client.get_many(keys)],
        "watched": [MessageToDict(entry) for entry in watched],
        "sets": [
            MessageToDict(
                client.combine_sets(
                    [operand(of) for of in asked["sets"]], SetOperation.Value(asked["operation"]), field=asked["field"]
                )
            )
            for asked in question["sets"]
        ],
    }
print(json.dumps(answers))
