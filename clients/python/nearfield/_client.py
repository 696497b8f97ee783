"""The blocking client. Safe to share between threads."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc

from nearfield import _convert, _methods
from nearfield._cache import ModelCache
from nearfield._channel import ClientOptions, check_timeout, make_settings
from nearfield._deadline import Deadline
from nearfield._errors import NearfieldError
from nearfield._health import ReadyWait
from nearfield._jobs import DetokenizeJob, EmbedJob, Job, TokenizeJob
from nearfield._plan import StreamPlan
from nearfield._status import error_of_call
from nearfield._sync_stream import SyncStream
from nearfield._transport import Transport
from nearfield._types import (
    Array,
    EmbedOptions,
    EmbedResult,
    Inputs,
    Model,
    SimilarityOptions,
    StreamOptions,
    StreamResult,
    TextOrTokens,
    TokenizedText,
    TokenizeOptions,
)
from nearfield.v1 import model_pb2

__all__ = ["Client"]

_RequestT = TypeVar("_RequestT")
_ReplyT = TypeVar("_ReplyT")


class Client:
    """Talks to a Nearfield server; close it, or use it in a `with` statement.

    Every method raises subclasses of NearfieldError for what the server refuses, and gives up when its `timeout` (the
    client's own where the call has none) has passed, retries included.
    """

    def __init__(self, target: str = "localhost:50051", **options: Unpack[ClientOptions]) -> None:
        """Prepare; the connection is made with the first call.

        Args:
            target: "host:port", "dns:///host:port" (all addresses of the name are used) or "unix:PATH".
            **options: see `ClientOptions`.

        Raises:
            TypeError: for an unknown option.
            ValueError: for an impossible value.
        """
        self._transport = Transport(make_settings(target, options))
        self._models = ModelCache()

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Target, for logs."""
        return f"<nearfield.Client {self._transport.settings.target}>"

    def close(self) -> None:
        """Cancel what is under way and disconnect; a second time does nothing."""
        self._transport.close()

    def embed(self, texts: Inputs, **options: Unpack[EmbedOptions]) -> Array:
        """Embed texts, or sequences of token ids.

        Args:
            texts: any iterable; more than one request holds are sent in several. A single str is one text.
            **options: see `EmbedOptions`.

        Returns:
            [n, width] in the order of `texts`, of `output_dtype`; of a single str [width].
        """
        return self.embed_with_details(texts, **options).embeddings

    def embed_with_details(self, texts: Inputs, **options: Unpack[EmbedOptions]) -> EmbedResult:
        """Embed as `embed` does, and tell what was done: token counts, truncation, timings."""
        deadline = self._deadline(options.get("timeout"))
        job = EmbedJob(texts, options)
        self._run(job, options.get("model", ""), deadline)
        return job.result()

    def embed_stream(
        self, inputs: Iterable[TextOrTokens], **options: Unpack[StreamOptions]
    ) -> Generator[StreamResult, None, None]:
        """Embed an iterable of any length in constant memory; one result per input, in order of completion.

        `inputs` is pulled by a thread, and only as fast as results are taken. An input that fails yields a result with
        an `error` and touches no other. What `inputs` raises is raised here, after the results of what came before.
        Closing the generator cancels the call.

        Args:
            inputs: texts, or sequences of token ids.
            **options: see `StreamOptions`.
        """
        plan = StreamPlan(options)
        deadline = Deadline(check_timeout(options.get("timeout")))
        return SyncStream(self._transport, plan, deadline, self._model).results(inputs)

    def similarity(
        self,
        sources: Inputs,
        targets: Inputs | None = None,
        **options: Unpack[SimilarityOptions],
    ) -> Array:
        """Compare each source with each target, or the sources among themselves; greater is more alike.

        One request does it: sources and targets together are at most `Limits.max_inputs`.

        Returns:
            float32 [sources, targets].
        """
        deadline = self._deadline(options.get("timeout"))
        request = _convert.similarity_request(sources, targets, options)
        reply = self._transport.call(_methods.SIMILARITY, request, deadline)
        return _convert.scores_of(request, reply)

    def tokenize(self, texts: str | Iterable[str], **options: Unpack[TokenizeOptions]) -> list[TokenizedText]:
        """Show the tokens that the model would see, not truncated; one per text."""
        deadline = self._deadline(options.get("timeout"))
        job = TokenizeJob(texts, options)
        self._run(job, options.get("model", ""), deadline)
        return job.result()

    def detokenize(
        self,
        sequences: Iterable[Sequence[int]],
        *,
        model: str = "",
        keep_special_tokens: bool = False,
        timeout: float | None = None,
    ) -> list[str]:
        """Turn token ids back into texts, one per sequence; case and blanks may be lost."""
        deadline = self._deadline(timeout)
        job = DetokenizeJob(sequences, model, keep_special_tokens=keep_special_tokens)
        self._run(job, model, deadline)
        return job.result()

    def models(self, *, timeout: float | None = None) -> list[Model]:
        """List the served models, the default one first."""
        reply = self._transport.call(_methods.LIST_MODELS, model_pb2.ListModelsRequest(), self._deadline(timeout))
        return [_convert.model_of(one) for one in reply.models]

    def model(self, name: str = "", *, timeout: float | None = None) -> Model:
        """Describe one model, as it is now; "" is the default one."""
        return self._fetch(name, self._deadline(timeout))

    def watch_models(self, name: str = "", *, timeout: float | None = None) -> Generator[Model, None, None]:
        """Yield every model (or the one of that name) as it is, then each change of state, until closed.

        Without `timeout` there is no deadline. It ends when the server drains.
        """
        request = model_pb2.WatchModelsRequest(name=name)
        call = self._transport.start("unary_stream", _methods.WATCH_MODELS, request, check_timeout(timeout))
        return _watch(call)

    def health(self, service: str = "", *, timeout: float | None = None) -> str:
        """Ask grpc.health.v1: "SERVING" or "NOT_SERVING"; "" asks for the whole server. NotFound: no such service."""
        return self._transport.call(_methods.HEALTH_CHECK, service, self._deadline(timeout))

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when the server serves. Raises DeadlineExceeded after `timeout` seconds."""
        wait = ReadyWait(timeout)
        while (left := wait.seconds_left()) > 0:
            try:
                if wait.is_ready(self._transport.once(_methods.HEALTH_CHECK, "", left)):
                    return
            except NearfieldError as error:
                wait.failed(error)
            time.sleep(wait.pause())
        raise wait.error()

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._transport.settings.timeout if timeout is None else check_timeout(timeout))

    def _model(self, name: str, deadline: Deadline) -> Model:
        return self._models.get(name) or self._fetch(name, deadline)

    def _fetch(self, name: str, deadline: Deadline) -> Model:
        reply = self._transport.call(_methods.GET_MODEL, model_pb2.GetModelRequest(name=name), deadline)
        model = _convert.model_of(reply.model)
        self._models.learn(name, model)
        return model

    def _run(self, job: Job[_RequestT, _ReplyT], name: str, deadline: Deadline) -> None:
        known = self._models.get(name)
        try:
            self._transport.run(job, known or self._fetch(name, deadline), deadline)
        except NearfieldError as error:
            is_doubtful = self._models.forget_after(name, error)
            if known is None or not is_doubtful or (fresh := self._fetch(name, deadline)).limits == known.limits:
                raise
        else:
            return
        # The limits have changed since they were learned: cut anew.
        self._transport.run(job, fresh, deadline)


def _watch(call: Any) -> Generator[Model, None, None]:
    try:
        for reply in call:
            yield _convert.model_of(reply.model)
    except grpc.RpcError as error:
        raise error_of_call(error) from error
    finally:
        call.cancel()
