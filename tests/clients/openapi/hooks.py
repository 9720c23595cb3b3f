"""What Schemathesis has to be told to get at answers: `SCHEMATHESIS_HOOKS` names this file.

- A document of OpenAPI says in words how a stream is framed, and names the schemas of what is in it. Here requests are made up by
  that schema and framed, and every frame of an answer is held against the schema that it is said to have (the check `streams`).
- It cannot say which fields do not go together, and who makes a request up sets most of them. Of three calls, two get sense.
"""

import itertools
import json
import re
import struct
import sys
from pathlib import Path

import schemathesis

sys.path.append(str(Path(__file__).parent))
from check import named, problems

KIND = "application/connect+json"
# Milliseconds. The longest deadline of calls with one reply: with less, being late is no failure. A stream ends by its deadline, and
# its first reply is there long before, unless the machine is very busy.
PATIENCE, STREAM = "30000", "100"
# Errors that are a failure of the server, as the statuses from 500 on are of other calls.
FAILURES = {"unknown", "internal", "data_loss"}


def request_of(operation):
    """The schema of the messages that a method takes, if it answers with a stream."""
    if KIND not in operation.get("requestBody", {}).get("content", {}):
        return None
    return re.match("The JSON of `(.+?)`", operation["requestBody"]["description"])[1]


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # What is made up are messages; `written` puts the frame around them.
    for path in raw_schema["paths"].values():
        for operation in path.values():
            if schema := request_of(operation):
                content = operation["requestBody"]["content"][KIND]
                content["schema"] = {"$ref": f"#/components/schemas/{schema}"}


# Of `application/json`, as that stands for all kinds that end with `json`.
@schemathesis.serializer("application/json")
def written(context, message):
    message = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", 0, len(message)) + message if context.case.media_type == KIND else message


calls = itertools.count()


def with_sense(message):
    """The same message without what contradicts itself."""
    message = dict(message)
    if message.get("keys") == []:
        message["keys"] = [{}]
    if message.get("window") == "0s":
        message["window"] = "3600s"
    if "window" in message:
        message.pop("calendar", None)
        message.pop("start", None)
    return message


@schemathesis.hook
def before_call(context, case, kwargs):
    is_stream = request_of(case.operation.definition.raw)
    case.headers["Connect-Timeout-Ms"] = STREAM if is_stream else PATIENCE
    call = next(calls)
    # A contract that is made up is not the server's, which says that then and nothing else: once in a while will do.
    if call % 10:
        case.headers.pop("Murmur-Contract", None)
    if call % 3 and isinstance(case.body, dict):
        case.body = with_sense(case.body)


def frames(body):
    """The flags of each frame, and what is in it."""
    while body:
        assert len(body) >= 5, f"{len(body)} bytes stand behind the last frame"
        flags, length = struct.unpack(">BI", body[:5])
        content, body = body[5 : 5 + length], body[5 + length :]
        assert len(content) == length, f"{length} bytes are announced, and {len(content)} are there"
        yield flags, json.loads(content)


@schemathesis.check
class streams:
    """Every frame is as its schema says, and the last one, and only that, is the end of the stream."""

    def __init__(self):
        # By method.
        self.replies = {}
        self.ends = {}
        self.validators = {}

    def after_response(self, context, response, case):
        operation = case.operation
        if response.status_code != 200 or not request_of(operation.definition.raw):
            return
        said = operation.definition.raw["responses"]["200"]["description"]
        schema = re.match("The JSON of one `(.+?)` after another", said)[1]
        path = operation.path
        if path not in self.validators:
            document = operation.schema.raw_schema
            self.validators[path] = [named(document, name) for name in (schema, "connect.EndOfStream")]
        reply, end = self.validators[path]
        *replies, (flags, last) = frames(response.content)
        assert flags == 2, f"the last frame has the flags {flags}"
        for flags, message in replies:
            assert flags == 0, f"a frame before the last one has the flags {flags}"
            assert not (wrong := list(problems(reply, message))), f"a reply is wrong: {wrong}"
        assert not (wrong := list(problems(end, last))), f"the end is wrong: {wrong}"
        error = last.get("error", {})
        assert error.get("code") not in FAILURES, f"the server failed: {error}"
        self.replies[path] = self.replies.get(path, 0) + len(replies)
        self.ends[path] = self.ends.get(path, 0) + 1

    def after_run(self, context):
        for path, ends in self.ends.items():
            print(f"Streams: {ends} of {path} with {self.replies[path]} replies")
