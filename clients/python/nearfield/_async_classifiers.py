"""What an asyncio client does with trained classifiers, but for using them, which is `classify`."""

# ruff: noqa: ASYNC109 - `timeout` is the deadline that travels with the RPC

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import grpc

from nearfield import _classifier_requests as requests
from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._channel import LOAD_SECONDS, call_deadline
from nearfield._classifier_requests import classifier_of
from nearfield._classifier_types import Classifier, TrainOptions
from nearfield._status import error_of_call
from nearfield._types import Array, OneInput
from nearfield.v1 import cluster_pb2

__all__ = ["AsyncClassifiers"]


class AsyncClassifiers:
    """What an asyncio client does with trained classifiers."""

    _transport: AsyncTransport

    async def train_classifier(
        self,
        name: str,
        examples: Iterable[tuple[OneInput, str]] | Iterable[OneInput] | Array | None = None,
        *,
        labels: Sequence[str] | None = None,
        **options: Unpack[TrainOptions],
    ) -> Classifier:
        """Train a classifier on labelled examples, and keep it as the newest version of `name`.

        It isn't tried again: after a lost connection, look at `classifiers()`.

        Args:
            name: 1 to 64 letters, digits, dots, dashes or underscores.
            examples: pairs of (text, label); or texts, images or vectors (a float array [n, width]) with `labels`.
            labels: one for each of the examples, where they aren't pairs.
            **options: see `TrainOptions`; with `collection` and `label_field` there are no examples.

        Raises:
            InvalidArgument: fewer than two labels, or too few examples for the method.
            TypeError: for an unknown option, or examples that aren't such.
        """
        messages = requests.train_requests(name, examples, labels, options)
        deadline = call_deadline(self._transport.settings, options.get("timeout", LOAD_SECONDS))
        try:
            with closing_told():
                reply = await self._transport.start(
                    "stream_unary", requests.TRAIN_CLASSIFIER, iter(messages), deadline.timeout()
                )
        except grpc.RpcError as error:
            raise error_of_call(error) from error
        return classifier_of(reply.classifier)

    async def classifiers(self, *, timeout: float | None = None) -> list[Classifier]:
        """List all versions of all classifiers, by name, newest first."""
        reply = await self._ask(requests.LIST_CLASSIFIERS, cluster_pb2.ListClassifiersRequest(), timeout)
        return [classifier_of(one) for one in reply.classifiers]

    async def classifier(self, name: str, *, timeout: float | None = None) -> Classifier:
        """Describe the newest version of a classifier, or `name@version`. Raises NotFound."""
        request = cluster_pb2.GetClassifierRequest(name=name)
        return classifier_of((await self._ask(requests.GET_CLASSIFIER, request, timeout)).classifier)

    async def delete_classifier(self, name: str, *, timeout: float | None = None) -> int:
        """Delete all versions of a classifier, or `name@version`; give how many that were. Raises NotFound."""
        request = cluster_pb2.DeleteClassifierRequest(name=name)
        return int((await self._ask(requests.DELETE_CLASSIFIER, request, timeout)).deleted)

    async def export_classifier(self, name: str, *, timeout: float | None = None) -> bytes:
        """Give a classifier as a file, which `import_classifier` takes. Raises NotFound."""
        request = cluster_pb2.ExportClassifierRequest(name=name)
        return bytes((await self._ask(requests.EXPORT_CLASSIFIER, request, timeout)).data)

    async def import_classifier(self, data: bytes, name: str = "", *, timeout: float | None = None) -> Classifier:
        """Keep a classifier from a file, as the newest version of `name`; "" is its own name.

        It isn't tried again. Raises InvalidArgument where the file is damaged, or none.
        """
        request = cluster_pb2.ImportClassifierRequest(data=data, name=name)
        seconds = call_deadline(self._transport.settings, timeout).timeout()
        reply = await self._transport.once(requests.IMPORT_CLASSIFIER, request, seconds)
        return classifier_of(reply.classifier)

    async def _ask(self, method: Any, request: Any, timeout: float | None) -> Any:
        return await self._transport.call(method, request, call_deadline(self._transport.settings, timeout))
