"""Re-embeddings: what the server tells of them, and the requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias, TypedDict, cast

from nearfield._convert import check_options, enum_name, enum_number
from nearfield._model import Metric
from nearfield._payload import instant_of
from nearfield.v1 import embed_pb2, search_pb2

__all__ = ["ReembedOptions", "ReembedState", "Reembedding", "end_of_reembed", "reembed_request", "reembedding_of"]

ReembedState: TypeAlias = Literal["copying", "swapping", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Reembedding:
    """A collection that is made of another by another model.

    `copied` points of `total` are in the new collection, `skipped` ones had no text. `aliases` were moved, once it is
    done. `error_message` says why it failed, or what it waits for. None is what isn't known yet.
    """

    id: str
    source: str
    target: str
    aliases: tuple[str, ...]
    model: str
    model_version: str
    dimensions: int
    state: ReembedState
    copied: int
    skipped: int
    total: int
    points_per_second: float
    remaining: timedelta | None
    error_reason: str
    error_message: str
    started_at: datetime
    ended_at: datetime | None


class ReembedOptions(TypedDict, total=False):
    """How to embed a collection again. Every key may be left out.

    Keys:
        model: model to embed with; "" is the collection's own, in the version that is served now.
        dimensions: a Matryoshka width of the model; 0 is its full one.
        metric: how vectors are compared; None is the model's own.
        target: name of the new collection; "" is the old one's with the time.
        aliases: names to let stand for the new collection; none given: all that stand for the old one.
        keep_aliases: True moves no alias.
        skip_without_text: True leaves out points that have only a vector; else the first of them ends it.
        wait: False returns at once; the server goes on.
        on_progress: called about once a second.
        timeout: seconds to wait; None is no limit. The server goes on when they are over.
    """

    model: str
    dimensions: int
    metric: Metric | None
    target: str
    aliases: Sequence[str]
    keep_aliases: bool
    skip_without_text: bool
    wait: bool
    on_progress: Callable[[Reembedding], None] | None
    timeout: float | None


def reembed_request(collection: str, options: ReembedOptions) -> search_pb2.ReembedRequest:
    """Make the request. Raises TypeError or ValueError."""
    check_options(options, ReembedOptions)
    aliases = options.get("aliases", ())
    if isinstance(aliases, str):
        raise TypeError("aliases is one name; give a list of them")
    request = search_pb2.ReembedRequest(
        collection=collection,
        model=options.get("model", ""),
        dimensions=options.get("dimensions", 0),
        target=options.get("target", ""),
        aliases=aliases,
        keep_aliases=options.get("keep_aliases", False),
        skip_without_text=options.get("skip_without_text", False),
    )
    if (metric := options.get("metric")) is not None:
        request.metric = cast(
            "embed_pb2.SimilarityMetric",
            enum_number(embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_", "metric", metric),
        )
    return request


def reembedding_of(message: search_pb2.Reembedding) -> Reembedding:
    """Give a re-embedding."""
    return Reembedding(
        id=message.id,
        source=message.source,
        target=message.target,
        aliases=tuple(message.aliases),
        model=message.model,
        model_version=message.model_version,
        dimensions=message.dimensions,
        state=cast("ReembedState", enum_name(search_pb2.ReembedState, "REEMBED_STATE_", message.state)),
        copied=message.copied,
        skipped=message.skipped,
        total=message.total,
        points_per_second=message.points_per_second,
        remaining=message.remaining.ToTimedelta() if message.HasField("remaining") else None,
        error_reason=message.error_reason,
        error_message=message.error_message,
        started_at=instant_of(message.started_at),
        ended_at=instant_of(message.ended_at) if message.HasField("ended_at") else None,
    )


def end_of_reembed(message: search_pb2.ReembedResponse, options: ReembedOptions) -> Reembedding | None:
    """Give the re-embedding that is to be returned; None: it goes on, which is handed on.

    A failed one is not the end: its error follows.
    """
    one = reembedding_of(message.reembedding)
    if not options.get("wait", True) or one.state in {"done", "cancelled"}:
        return one
    if (on_progress := options.get("on_progress")) is not None:
        on_progress(one)
    return None
