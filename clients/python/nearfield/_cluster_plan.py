"""One call of `cluster`, from its options to its result, without I/O: the clients do the asking.

Rules:
- Inputs that fit into one message go by Cluster, others, and those whose progress is wanted, by ClusterStream.
- One input that the server refuses must not fail the others: Cluster is given up then for ClusterStream, which leaves
  it out.
- A call is repeated as `_retry` says, from its first input on; so never when its inputs can be read only once. What is
  to be kept would be kept twice: it is repeated only where the server itself asks for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from nearfield._cluster_items import ItemPacker
from nearfield._cluster_options import ClusterCallOptions
from nearfield._cluster_parts import ClusteringParts
from nearfield._cluster_replies import job_of
from nearfield._cluster_requests import (
    collection_message,
    duration_message,
    embedding_message,
    is_about_item,
    options_message,
    placed,
    renamed,
)
from nearfield._clustering import Clustering
from nearfield._convert import check_options
from nearfield._deadline import Deadline
from nearfield._errors import InvalidArgument, NearfieldError, invalid
from nearfield._model import Limits
from nearfield._retry import RetryPolicy, draw, next_delay
from nearfield._status import error_of_status
from nearfield.v1 import cluster_pb2

__all__ = ["ClusterPlan", "ClusterRun", "is_worth_repeating"]


class ClusterPlan:
    """What was asked for."""

    def __init__(self, inputs: Any, options: ClusterCallOptions) -> None:
        """Check the options. Raises TypeError or ValueError."""
        check_options(options, ClusterCallOptions)
        self._options = options_message(options)
        self._embedding = embedding_message(options)
        self._ttl = duration_message(options)
        self._collection = options.get("collection")
        self._where = (options.get("tenant", ""), options.get("filter"))
        self.model = options.get("model", "")
        self.on_progress = options.get("on_progress")
        self.ids, self.texts = options.get("ids"), options.get("texts")
        if (inputs is None) == (self._collection is None):
            raise TypeError("give inputs or a collection, one of them")
        if self._collection is None and any(self._where):
            raise ValueError("tenant and filter choose points: they go with a collection")
        if self._collection is not None:
            self._check_collection(options)
        self.is_repeatable = all(one is None or _is_lasting(one) for one in (inputs, self.ids, self.texts))

    @property
    def is_kept(self) -> bool:
        """Whether the server is to keep the clustering."""
        return self._ttl is not None

    def run(self, limits: Limits) -> ClusterRun:
        """Begin, within the server's limits."""
        return ClusterRun(self, ItemPacker(limits, self.ids, self.texts))

    def request(self, items: cluster_pb2.ClusterItems | None = None) -> cluster_pb2.ClusterRequest:
        """Make the request of Cluster, of `items` or of the collection."""
        request = cluster_pb2.ClusterRequest(options=self._options, embedding=self._embedding, ttl=self._ttl)
        if items is not None:
            request.items.CopyFrom(items)
        else:
            request.collection.CopyFrom(collection_message(cast("str", self._collection), *self._where))
        return request

    def hello(self) -> cluster_pb2.ClusterStreamRequest:
        """Make the first message of ClusterStream."""
        options = cluster_pb2.ClusterStreamOptions(options=self._options, embedding=self._embedding, ttl=self._ttl)
        return cluster_pb2.ClusterStreamRequest(options=options)

    def pause(self, error: NearfieldError, attempts: int, deadline: Deadline, retry: RetryPolicy) -> float | None:
        """Give the seconds after which to try again; None: not at all."""
        if not self.is_repeatable or not is_worth_repeating(error, is_safe=not self.is_kept):
            return None
        return next_delay(retry, error, attempts=attempts, seconds_left=deadline.left(), draw=draw())

    def _check_collection(self, options: ClusterCallOptions) -> None:
        for name in ("ids", "texts", "model", "input_type", "dimensions", "truncate", "on_progress"):
            if options.get(name):
                hint = ": start_clustering and wait_clustering tell it" if name == "on_progress" else ""
                raise ValueError(f"{name} goes with inputs, not with a collection{hint}")


class ClusterRun:
    """One attempt."""

    def __init__(self, plan: ClusterPlan, packer: ItemPacker) -> None:
        """Begin with the first input."""
        self._plan = plan
        self.packer = packer
        self._parts = ClusteringParts(packer.sent)
        self._failures: dict[int, NearfieldError] = {}

    def alone(self, full: cluster_pb2.ClusterItems | None) -> cluster_pb2.ClusterItems | None:
        """Give the only message, where Cluster is to be called, after all inputs were taken.

        Raises InvalidArgument when there are no inputs, or none of them can be sent.
        """
        if full is not None:
            return None
        last = self.packer.last()
        if last is None:
            raise next(iter(self.packer.failures.values()), invalid("inputs", "none; at least one is needed"))
        return last

    def whole(self, reply: cluster_pb2.ClusterResponse) -> Clustering:
        """Give the result of Cluster."""
        self._parts.accept_whole(reply)
        return self.result()

    def collected(self, reply: cluster_pb2.ClusterResponse) -> Clustering:
        """Give the result of Cluster over a collection, whose points nobody counted before."""
        parts = ClusteringParts()
        parts.accept_whole(reply)
        return parts.result()

    def goes_on(self, error: NearfieldError) -> bool:
        """Tell whether ClusterStream is to do what Cluster refused. Raises it renamed otherwise."""
        if isinstance(error, InvalidArgument) and is_about_item(error):
            return True
        raise renamed(error)

    def accept(self, reply: cluster_pb2.ClusterStreamResponse) -> None:
        """Take a message of ClusterStream."""
        match reply.WhichOneof("message"):
            case "progress":
                if self._plan.on_progress is not None:
                    self._plan.on_progress(job_of(reply.progress))
            case "failure":
                index = self.packer.sent[reply.failure.index]
                self._failures[index] = placed(error_of_status(reply.failure.status), lambda _: index)
            case _:
                self._parts.accept(reply)

    def result(self) -> Clustering:
        """Give the clustering. Raises InternalError when a part is missing."""
        failures = dict(sorted((self.packer.failures | self._failures).items()))
        return self._parts.result(self.packer.count, failures)

    def failed(self, error: NearfieldError) -> NearfieldError:
        """Give the error of the stream with the caller's names; of the first input where all have failed."""
        failures = self.packer.failures | self._failures
        if isinstance(error, InvalidArgument) and failures and len(failures) == self.packer.count:
            return failures[min(failures)]
        return renamed(error)


def is_worth_repeating(error: NearfieldError, *, is_safe: bool) -> bool:
    """Tell whether to send a request again; one that isn't safe to repeat only where the server didn't begin it."""
    return is_safe or error.retry_delay is not None


def _is_lasting(one: Iterable[Any]) -> bool:
    return isinstance(one, (Sequence, np.ndarray)) or (hasattr(one, "__len__") and hasattr(one, "__getitem__"))
