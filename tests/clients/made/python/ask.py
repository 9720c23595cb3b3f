"""Makes single calls by the client that `cargo murmur clients` has made for page-traffic.

    ask.py URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
    ask.py URL brief         the same with a deadline of a second
    ask.py URL watch         prints the views in two replies, each when it comes
    ask.py URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
"""

import json
import sys
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


if asked == "watch":
    with PageTrafficClient(url) as client:
        watching = client.watch(PageTrafficKey(page_id="/home"))
        for _ in range(2):
            print(json.dumps(str(next(watching).value.views)), flush=True)
        watching.cancel()
elif asked.startswith("absence="):
    absence = timedelta(milliseconds=int(asked.removeprefix("absence=")))
    with PageTrafficClient(url, token="secret", absence=absence) as client:
        print(json.dumps(code(lambda: next(client.watch(PageTrafficKey())))))
else:
    timeout = {"one": patience, "brief": timedelta(seconds=1)}[asked]
    read = [open(name, "rb").read() for name in authorities]
    credentials = grpc.ssl_channel_credentials(*read) if read else None
    with PageTrafficClient(url, token=lambda: "secret", timeout=timeout, credentials=credentials) as client:
        print(json.dumps(code(lambda: client.get(PageTrafficKey(page_id="/home")))))
