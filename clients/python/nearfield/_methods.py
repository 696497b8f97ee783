"""The RPCs that this client calls, each with its path and its messages.

A table of our own rather than the generated stubs, whose classes have no types, and because grpc.health.v1 needs no
generated code for one string in and one number out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nearfield._errors import InternalError
from nearfield.v1 import cluster_pb2, embed_pb2, model_pb2

__all__ = [
    "CLASSIFY",
    "DEDUPLICATE",
    "DETOKENIZE",
    "EMBED",
    "EMBED_MULTI",
    "EMBED_SPARSE",
    "EMBED_STREAM",
    "GET_MODEL",
    "HEALTH_CHECK",
    "LIST_MODELS",
    "LOAD_MODEL",
    "RERANK",
    "SET_ALIAS",
    "SIMILARITY",
    "TOKENIZE",
    "UNLOAD_MODEL",
    "WATCH_MODELS",
    "Method",
    "decode_health",
    "encode_health",
]

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


@dataclass(frozen=True, slots=True)
class Method(Generic[RequestT, ReplyT]):
    """One RPC: its path, and how its messages become bytes and come from them."""

    path: str
    encode: Callable[[RequestT], bytes]
    decode: Callable[[bytes], ReplyT]


_HEALTH = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_SEVEN_BITS = 0x7F
_MORE = 0x80


def encode_health(service: str) -> bytes:
    """Encode a grpc.health.v1.HealthCheckRequest, whose one field is `string service = 1`."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def decode_health(reply: bytes) -> str:
    """Decode a grpc.health.v1.HealthCheckResponse, whose one field is `ServingStatus status = 1`."""
    if not reply:
        return _HEALTH[0]  # proto3 leaves out a zero
    if len(reply) == 2 and reply[0] == 0x08 and reply[1] < len(_HEALTH):  # noqa: PLR2004 - a tag and a small number
        return _HEALTH[reply[1]]
    raise InternalError("the reply to a health check is no HealthCheckResponse that this client knows")


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > _SEVEN_BITS:
        encoded.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_EMBED = "/nearfield.v1.EmbedService"
_MODEL = "/nearfield.v1.ModelService"

EMBED = Method(f"{_EMBED}/Embed", embed_pb2.EmbedRequest.SerializeToString, embed_pb2.EmbedResponse.FromString)
EMBED_STREAM = Method(
    f"{_EMBED}/EmbedStream",
    embed_pb2.EmbedStreamRequest.SerializeToString,
    embed_pb2.EmbedStreamResponse.FromString,
)
EMBED_SPARSE = Method(
    f"{_EMBED}/EmbedSparse", embed_pb2.EmbedSparseRequest.SerializeToString, embed_pb2.EmbedSparseResponse.FromString
)
EMBED_MULTI = Method(
    f"{_EMBED}/EmbedMulti", embed_pb2.EmbedMultiRequest.SerializeToString, embed_pb2.EmbedMultiResponse.FromString
)
RERANK = Method(f"{_EMBED}/Rerank", embed_pb2.RerankRequest.SerializeToString, embed_pb2.RerankResponse.FromString)
CLASSIFY = Method(
    f"{_EMBED}/Classify", embed_pb2.ClassifyRequest.SerializeToString, embed_pb2.ClassifyResponse.FromString
)
SIMILARITY = Method(
    f"{_EMBED}/Similarity",
    embed_pb2.SimilarityRequest.SerializeToString,
    embed_pb2.SimilarityResponse.FromString,
)
TOKENIZE = Method(
    f"{_EMBED}/Tokenize", embed_pb2.TokenizeRequest.SerializeToString, embed_pb2.TokenizeResponse.FromString
)
DETOKENIZE = Method(
    f"{_EMBED}/Detokenize",
    embed_pb2.DetokenizeRequest.SerializeToString,
    embed_pb2.DetokenizeResponse.FromString,
)
DEDUPLICATE = Method(
    "/nearfield.v1.ClusterService/Deduplicate",
    cluster_pb2.DeduplicateRequest.SerializeToString,
    cluster_pb2.DeduplicateResponse.FromString,
)
LIST_MODELS = Method(
    f"{_MODEL}/ListModels",
    model_pb2.ListModelsRequest.SerializeToString,
    model_pb2.ListModelsResponse.FromString,
)
GET_MODEL = Method(
    f"{_MODEL}/GetModel", model_pb2.GetModelRequest.SerializeToString, model_pb2.GetModelResponse.FromString
)
WATCH_MODELS = Method(
    f"{_MODEL}/WatchModels",
    model_pb2.WatchModelsRequest.SerializeToString,
    model_pb2.WatchModelsResponse.FromString,
)
LOAD_MODEL = Method(
    f"{_MODEL}/LoadModel", model_pb2.LoadModelRequest.SerializeToString, model_pb2.LoadModelResponse.FromString
)
UNLOAD_MODEL = Method(
    f"{_MODEL}/UnloadModel", model_pb2.UnloadModelRequest.SerializeToString, model_pb2.UnloadModelResponse.FromString
)
SET_ALIAS = Method(
    f"{_MODEL}/SetAlias", model_pb2.SetAliasRequest.SerializeToString, model_pb2.SetAliasResponse.FromString
)
HEALTH_CHECK = Method("/grpc.health.v1.Health/Check", encode_health, decode_health)
