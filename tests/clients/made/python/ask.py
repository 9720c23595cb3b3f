"""Makes single calls by the client that `cargo murmur clients` has made for page-traffic.

    ask.py URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
    ask.py URL brief         the same with a deadline of a second
    ask.py URL watch         prints the views in two replies, each when it comes
    ask.py URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
    ask.py URL renew         watches with another token each time; prints how that ended
    ask.py URL unfit         tries tokens that are none; prints what is said of them
"""

import json
import sys
import traceback
from datetime import timedelta

import grpc
from page_traffic.v1 import PageTrafficClient, PageTrafficKey

url, asked, *authorities = sys.argv[1:]
# Long, as a machine that is busy is no reason to fail.
patience = timedelta(seconds=300)


def code(call):
    """The number of gRPC's code."""
    try:
        call()
        return 0
    except grpc.RpcError as error:
        return error.code().value[0]


def said(call):
    """All that an error says."""
    try:
        call()
        return ""
    except ValueError:
        return traceback.format_exc()


if asked == "watch":
    with PageTrafficClient(url) as client, client.watch(PageTrafficKey(page_id="/home")) as replies:
        for _ in range(2):
            print(json.dumps(str(next(replies).value.views)), flush=True)
elif asked.startswith("absence="):
    absence = timedelta(milliseconds=int(asked.removeprefix("absence=")))
    # As it is read from a file.
    with PageTrafficClient(url, token="secret\n", absence=absence) as client:
        print(json.dumps(code(lambda: next(client.watch(PageTrafficKey())))))
elif asked == "renew":
    tokens = iter(["first", "second", "third"])
    with PageTrafficClient(url, token=lambda: next(tokens)) as client:
        print(json.dumps(code(lambda: next(client.watch(PageTrafficKey())))))
elif asked == "unfit":
    token = "two\ns3cr\u00e9ts"
    print(json.dumps(said(lambda: PageTrafficClient(url, token=token))))
    with PageTrafficClient(url, token=lambda: token) as client:
        print(json.dumps(said(lambda: client.get(PageTrafficKey()))))
        print(json.dumps(said(lambda: client.watch(PageTrafficKey()))))
else:
    timeout = {"one": patience, "brief": timedelta(seconds=1)}[asked]
    read = [open(name, "rb").read() for name in authorities]
    credentials = grpc.ssl_channel_credentials(*read) if read else None
    with PageTrafficClient(url, token=lambda: "secret\n", timeout=timeout, credentials=credentials) as client:
        print(json.dumps(code(lambda: client.get(PageTrafficKey(page_id="/home")))))
