"""Calls every method of the page-traffic service with stubs made by stock gRPC tools.

    client.py STUBS HOST:PORT QUESTION

STUBS is the folder of the generated modules, QUESTION a JSON object. Prints a JSON object: the reply of each method.
"""

import json
import sys

stubs, address, question = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
sys.path.insert(0, stubs)

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from page_traffic.v1 import page_traffic_pb2 as pb
from page_traffic.v1 import page_traffic_pb2_grpc as services

key = pb.PageTrafficKey(page_id=question["pages"][0])
keys = [pb.PageTrafficKey(page_id=page) for page in question["pages"]]
window = Duration(seconds=question["window"])
start = Timestamp(seconds=question["start"])
end = Timestamp(seconds=question["end"])
step = Duration(seconds=question["step"])

with grpc.insecure_channel(address) as channel:
    service = services.PageTrafficServiceStub(channel)
    watch = service.Watch(pb.PageTrafficServiceWatchRequest(key=key))
    many = service.WatchMany(pb.PageTrafficServiceWatchManyRequest(keys=keys))
    replies = {
        "Get": service.Get(pb.PageTrafficServiceGetRequest(key=key)),
        "GetMany": service.GetMany(pb.PageTrafficServiceGetManyRequest(keys=keys)),
        "GetWindow": service.GetWindow(pb.PageTrafficServiceGetWindowRequest(key=key, window=window, end=end)),
        "GetWindowMany": service.GetWindowMany(
            pb.PageTrafficServiceGetWindowManyRequest(keys=keys, window=window, end=end)
        ),
        "GetRange": service.GetRange(pb.PageTrafficServiceGetRangeRequest(key=key, start=start, end=end)),
        "GetRangeMany": service.GetRangeMany(
            pb.PageTrafficServiceGetRangeManyRequest(keys=keys, start=start, end=end)
        ),
        "Series": service.Series(pb.PageTrafficServiceSeriesRequest(key=key, start=start, end=end, step=step)),
        "Watch": next(watch),
        "WatchMany": next(many),
    }
    watch.cancel()
    many.cancel()
print(json.dumps({method: MessageToDict(reply) for method, reply in replies.items()}))
