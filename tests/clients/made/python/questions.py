"""Asks a list of questions by the client that `cargo murmur clients` has made for page-traffic, or for another program, whose
names stand here then.

    questions.py URL FILE      FILE has a JSON array of `{"method": .., "request": ..}`; prints one of `{"reply": ..}` and
                               `{"error": {"code": .., "message": ..}}`, with the number of gRPC's code
"""

import json
import sys
from datetime import timedelta, timezone

import grpc
import page_traffic.v1 as made
from google.protobuf.json_format import MessageToDict, ParseDict

# Long, as a machine that is busy is no reason to fail.
patience = timedelta(seconds=300)


def at(request, field):
    return getattr(request, field).ToDatetime(timezone.utc) if request.HasField(field) else None


def span(request, field):
    return getattr(request, field).ToTimedelta() if request.HasField(field) else None


def has(request, field):
    return getattr(request, field) if request.HasField(field) else None


def first(watching):
    reply = next(watching)
    watching.cancel()
    return reply


def answer(client, method, of):
    """The reply to a request; of those methods that give entries, these."""
    if method == "Get":
        return client.get(of.key, options=has(of, "options"))
    if method == "GetMany":
        return client.get_many(of.keys)
    if method == "GetWindow" and of.HasField("calendar"):
        return client.calendar(of.key, of.calendar, end=at(of, "end"))
    if method == "GetWindow":
        return client.window(of.key, span(of, "window"), end=at(of, "end"))
    if method == "GetWindowMany" and of.HasField("calendar"):
        return client.calendar_many(of.keys, of.calendar, end=at(of, "end"))
    if method == "GetWindowMany":
        return client.window_many(of.keys, span(of, "window"), end=at(of, "end"))
    if method == "GetRange":
        return client.range(of.key, at(of, "start"), at(of, "end"))
    if method == "GetRangeMany":
        return client.range_many(of.keys, at(of, "start"), at(of, "end"))
    if method == "Series" and of.HasField("calendar"):
        return client.calendar_series(of.key, of.calendar, end=at(of, "end"), step=has(of, "calendar_step"))
    if method == "Series":
        return client.series(of.key, at(of, "start"), end=at(of, "end"), step=span(of, "step"))
    if method == "CombineSets":
        return client.combine_sets(of.sets, of.operation, field=of.field)
    if method == "Watch":
        return first(client.watch(of.key, span(of, "window"), timeout=patience, calendar=has(of, "calendar")))
    if method == "WatchMany":
        return first(client.watch_many(of.keys, span(of, "window"), timeout=patience, calendar=has(of, "calendar")))
    raise ValueError(f"there is no method `{method}`")


def ended(client, question):
    method = question["method"]
    request = ParseDict(question["request"], getattr(made, f"PageTrafficService{method}Request")())
    try:
        reply = answer(client, method, request)
    except grpc.RpcError as error:
        return {"error": {"code": error.code().value[0], "message": error.details()}}
    if hasattr(reply, "DESCRIPTOR"):
        return {"reply": MessageToDict(reply)}
    return {"reply": {"entries": [MessageToDict(entry) for entry in reply]}}


url, file = sys.argv[1:]
with open(file, encoding="utf-8") as questions, made.PageTrafficClient(url, timeout=patience) as client:
    print(json.dumps([ended(client, question) for question in json.load(questions)]))
