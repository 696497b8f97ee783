"""SearchService on a real server: stubs, messages, and errors as they are on the wire."""

import itertools
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from nearfield.v1 import search_pb2, search_pb2_grpc

_NUMBERS = itertools.count()


def failure_of(status):
    found = {}
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        assert packed.Unpack(detail)
        found[type(detail).__name__] = detail
    bad, resource = found.get("BadRequest"), found.get("ResourceInfo")
    return SimpleNamespace(
        code={code.value[0]: code.name for code in grpc.StatusCode}[status.code],
        message=status.message,
        reason=found["ErrorInfo"].reason,
        field=bad.field_violations[0].field if bad else "",
        resource=(resource.resource_type, resource.resource_name) if resource else None,
    )


def point(id_, text="", vector=None, expires_at=None, **payload):
    made = search_pb2.Point(id=id_message(id_), text=text)
    if vector is not None:
        made.vector = np.asarray(vector, "<f4").tobytes()
    if payload:
        made.payload.fields.update(payload)
    if expires_at is not None:
        made.expires_at.FromSeconds(expires_at)
    return made


def id_message(id_):
    return search_pb2.PointId(text=id_) if isinstance(id_, str) else search_pb2.PointId(number=id_)


def id_of(message):
    return getattr(message, message.WhichOneof("id"))


class Search:
    """Calls by name: `search("Upsert", collection=…)` gives the reply, `search.refused(…)` the failure."""

    def __init__(self, channel):
        self.stub = search_pb2_grpc.SearchServiceStub(channel)

    def __call__(self, rpc, **fields):
        request = getattr(search_pb2, f"{rpc}Request")(**fields)
        return getattr(self.stub, rpc)(request, timeout=60)

    def refused(self, rpc, **fields):
        with pytest.raises(grpc.RpcError) as caught:
            self._whole(rpc, fields)
        trailers = {one.key: one.value for one in caught.value.trailing_metadata() or ()}
        return failure_of(Status.FromString(trailers["grpc-status-details-bin"]))

    def _whole(self, rpc, fields):
        reply = self(rpc, **fields)
        return list(reply) if hasattr(reply, "cancel") else reply

    def make(self, **fields):
        """Make a collection of a name of its own."""
        name = f"c{next(_NUMBERS)}"
        self("CreateCollection", name=name, **fields)
        return name

    def upsert(self, collection, *points, **fields):
        return self("Upsert", collection=collection, points=points, **fields)

    def get(self, collection, *ids, **fields):
        return list(self("GetPoints", collection=collection, ids=[id_message(one) for one in ids], **fields).points)

    def ids(self, collection, **fields):
        return [id_of(one.id) for part in self("Scroll", collection=collection, **fields) for one in part.points]

    def stream(self, messages):
        return list(self.stub.UpsertStream(iter(messages), timeout=60))


@pytest.fixture(scope="session")
def open_search():
    """Open a channel to a server: `open_search(target)`."""
    channels = []

    def make(target):
        channels.append(grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1)]))
        return Search(channels[-1])

    yield make
    for channel in channels:
        channel.close()


@pytest.fixture(scope="session")
def search(server, open_search):
    """The default server's."""
    return open_search(server.target)


@pytest.fixture(scope="session")
def wire():
    """Functions to make and read messages."""
    return SimpleNamespace(point=point, id=id_message, id_of=id_of, failure=failure_of)
