"""Raw calls, beside the client: bytes that it would never send, and errors as they are on the wire."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from tokenizers import Tokenizer

from nearfield.v1 import embed_pb2, model_pb2, search_pb2, types_pb2
from nearfield_server.backends.fake import FakeBackend
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.encoder import Encoder
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.encoder.spec import resolve
from nearfield_server.encoder.tokenizer import TextTokenizer

REPLIES = {
    f"/{service.full_name}/{method.name}": message_factory.GetMessageClass(method.output_type)
    for file in (embed_pb2, model_pb2, search_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
NUMPY = {1: "<f4", 2: "<f2", 3: "i1", 4: "u1", 5: "i1", 6: "u1"}


@dataclass(frozen=True)
class Failure:
    """A failed call, or the status in a stream's reply."""

    code: str
    message: str
    reason: str = ""
    metadata: dict = field(default_factory=dict)
    fields: tuple = ()
    resource: str = ""
    retry_seconds: float | None = None
    trailers: dict = field(default_factory=dict)


def failure_of(status, trailers=()):
    found = {}
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        assert packed.Unpack(detail)
        found[type(detail).__name__] = detail
    info = found["ErrorInfo"]
    assert info.domain == "nearfield"
    bad, retry, resource = (found.get(name) for name in ("BadRequest", "RetryInfo", "ResourceInfo"))
    return Failure(
        code={code.value[0]: code.name for code in grpc.StatusCode}[status.code],
        message=status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=tuple(one.field for one in bad.field_violations) if bad else (),
        resource=resource.resource_name if resource else "",
        retry_seconds=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        trailers=dict(trailers),
    )


def failure_of_call(error):
    trailers = {one.key: one.value for one in error.trailing_metadata() or ()}
    packed = trailers.get("grpc-status-details-bin")
    if packed is None:  # gRPC itself answered
        return Failure(error.code().name, error.details(), trailers=trailers)
    status = Status.FromString(packed)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    return failure_of(status, trailers)


class Wire:
    """Calls on one channel. Messages may be bytes."""

    def __init__(self, channel):
        self.channel = channel

    def call(self, method, message, **options):
        """Give the reply, or the `Failure`."""
        path = f"/nearfield.v1.{method}"
        stub = self.channel.unary_unary(path, request_serializer=as_bytes)
        try:
            reply = stub(message, **({"timeout": 60} | options))
        except grpc.RpcError as error:
            return failure_of_call(error)
        return REPLIES.get(path, SimpleNamespace(FromString=bytes)).FromString(reply)

    def embed(self, *inputs, **fields):
        return self.call("EmbedService/Embed", request(*inputs, **fields))

    def stream(self, messages, **options):
        """Give the call, whose replies are to be iterated."""
        stub = self.channel.stream_stream(
            "/nearfield.v1.EmbedService/EmbedStream", as_bytes, embed_pb2.EmbedStreamResponse.FromString
        )
        return stub(iter(messages), **({"timeout": 60} | options))

    def stream_all(self, *messages, **options):
        """Send all; give the replies and how the stream ended: `None` or a `Failure`."""
        call, replies = self.stream(messages, **options), []
        try:
            for reply in call:
                replies.append(reply)  # noqa: PERF402 - what came before a failure counts
        except grpc.RpcError as error:
            return replies, failure_of_call(error)
        return replies, None


def as_bytes(message):
    return message if isinstance(message, bytes) else message.SerializeToString()


def inputs_of(*values):
    return [
        types_pb2.Input(text=one) if isinstance(one, str) else types_pb2.Input(token_ids=types_pb2.TokenIds(ids=one))
        for one in values
    ]


def request(*inputs, **fields):
    return embed_pb2.EmbedRequest(inputs=inputs_of(*inputs), **fields)


def message(*inputs, **fields):
    return embed_pb2.EmbedStreamRequest(inputs=inputs_of(*inputs), **fields)


def rows(reply):
    """Give the matrix of a reply; a `Failure` fails the test by showing itself."""
    matrix = getattr(reply, "embeddings", None) or reply.scores
    return np.frombuffer(matrix.data, NUMPY[matrix.dtype]).reshape(matrix.rows, matrix.cols)


@pytest.fixture(scope="session")
def api():
    """Functions to make messages and read replies."""
    return SimpleNamespace(
        request=request, message=message, rows=rows, inputs=inputs_of, failure=failure_of, Failure=Failure
    )


@pytest.fixture(scope="session")
def connect():
    """Open a channel: `connect(server)`."""
    opened = []

    def make(server, **options):
        unlimited = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}
        options = unlimited | {name.replace("__", "."): value for name, value in options.items()}
        opened.append(grpc.insecure_channel(server.target, options=list(options.items())))
        return Wire(opened[-1])

    yield make
    for channel in opened:
        channel.close()


@pytest.fixture(scope="session")
def wire(server, connect):
    return connect(server)


class Gate:
    """A fake model that stops at the word "stop" until `open`, and knows whether somebody stands there."""

    def __init__(self, **on_word):
        self.reached, self._opened = threading.Event(), threading.Event()
        self._on_word = {"stop": self._pass, **on_word}
        self.backend = None

    def _pass(self):
        self.reached.set()
        assert self._opened.wait(30)

    def open(self):
        self._opened.set()

    def load(self, name, path):
        folder = open_folder(builtin_folder())
        tokenizer = Tokenizer.from_file(str(folder.tokenizer_file))
        ids = {tokenizer.token_to_id(word): action for word, action in self._on_word.items()}
        self.backend = FakeBackend(384, on_id=ids)
        spec = resolve(name, folder, folder.verify(), tokenizer, self.backend.signature)
        return LoadedEncoder(spec, TextTokenizer(spec, tokenizer), Encoder(spec, self.backend), self.backend)


@pytest.fixture(scope="session")
def gate():
    """The class: `gate()` to load with, `gate(word=function)` for other harm."""
    return Gate
