"""The blocking client. Safe to share between threads."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast, overload

from nearfield import _methods
from nearfield._cache import ModelCache, same_model
from nearfield._channel import LOAD_SECONDS, ClientOptions, check_timeout, make_settings
from nearfield._classifier_jobs import TrainedJob
from nearfield._classifier_types import Labels, TrainedOptions
from nearfield._classifiers import Classifiers
from nearfield._clusterings import Clusterings
from nearfield._collections import Collections
from nearfield._convert_models import aliases_of, model_of
from nearfield._deadline import Deadline
from nearfield._dedup_stream import Deduplication
from nearfield._embed_jobs import EmbedJob, MultiJob, SparseJob
from nearfield._errors import EXCHANGED, Aborted, NearfieldError
from nearfield._health import ReadyWait
from nearfield._jobs import Job
from nearfield._map_calls import Maps
from nearfield._model import Model
from nearfield._options import (
    ClassifyOptions,
    EmbedOptions,
    MultiOptions,
    OutputOptions,
    RerankOptions,
    SimilarityOptions,
    SparseOptions,
    StreamOptions,
    TokenizeOptions,
)
from nearfield._plan import StreamPlan
from nearfield._scoring_jobs import ClassifyJob, RerankJob
from nearfield._similarity_job import SimilarityJob
from nearfield._sync_stream import SyncStream
from nearfield._text_jobs import DetokenizeJob, TokenizeJob
from nearfield._transport import Transport
from nearfield._types import (
    Array,
    Chunking,
    EmbeddedChunks,
    EmbeddedOutputs,
    EmbedResult,
    Inputs,
    LabelScore,
    OneInput,
    OutputKind,
    RankedDocument,
    StreamResult,
    TokenizedText,
)
from nearfield._vectors import MultiVectors, SparseVectors
from nearfield._watch import watch
from nearfield.v1 import model_pb2

__all__ = ["Client"]

_PartT = TypeVar("_PartT")
_RequestT = TypeVar("_RequestT")
_ReplyT = TypeVar("_ReplyT")


class Client(Collections, Clusterings, Deduplication, Maps, Classifiers):
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

    @overload
    def embed(
        self, inputs: Inputs, *, chunking: None = None, outputs: None = None, **options: Unpack[EmbedOptions]
    ) -> Array: ...

    @overload
    def embed(self, inputs: Inputs, *, chunking: Chunking, **options: Unpack[EmbedOptions]) -> EmbeddedChunks: ...

    @overload
    def embed(
        self, inputs: Inputs, *, outputs: Sequence[OutputKind], **options: Unpack[EmbedOptions]
    ) -> EmbeddedOutputs: ...

    def embed(self, inputs: Inputs, **options: Unpack[OutputOptions]) -> Array | EmbeddedChunks | EmbeddedOutputs:
        """Embed texts, sequences of token ids, or images.

        Args:
            inputs: any iterable; more than one request holds are sent in several. A single str or image is one input.
            **options: see `EmbedOptions` and `OutputOptions`.

        Returns:
            [n, width] in the order of `inputs`, of `output_dtype`; of a single input [width]. With `chunking` an
            `EmbeddedChunks`, with `outputs` an `EmbeddedOutputs`.
        """
        return self._embedded(inputs, options).value()

    def embed_with_details(self, inputs: Inputs, **options: Unpack[OutputOptions]) -> EmbedResult:
        """Embed as `embed` does, and tell what was done: token counts, truncation, timings."""
        return self._embedded(inputs, options).result()

    def embed_stream(
        self, inputs: Iterable[OneInput], **options: Unpack[StreamOptions]
    ) -> Generator[StreamResult, None, None]:
        """Embed an iterable of any length in constant memory; one result per input, in order of completion.

        `inputs` is pulled by a thread, and only as fast as results are taken. An input that fails yields a result with
        an `error` and touches no other. What `inputs` raises is raised here, after the results of what came before.
        Closing the generator cancels the call.

        Args:
            inputs: texts, sequences of token ids, or images.
            **options: see `StreamOptions`.
        """
        plan = StreamPlan(options)
        deadline = Deadline(check_timeout(options.get("timeout")))
        return SyncStream(self._transport, plan, deadline, self._fetch).results(inputs)

    def embed_sparse(self, inputs: Inputs, **options: Unpack[SparseOptions]) -> SparseVectors:
        """Give a weight per vocabulary id, for models with the output "sparse", such as SPLADE; one row per input."""
        job = SparseJob(inputs, options)
        self._run(job, options)
        return job.result()

    def embed_multi(self, inputs: Inputs, **options: Unpack[MultiOptions]) -> MultiVectors:
        """Give a vector per token, for models with the output "multi", such as ColBERT.

        Embed queries with `input_type="query"`, and compare with `MultiVectors.maxsim`.
        """
        job = MultiJob(inputs, options)
        self._run(job, options)
        return job.result()

    def rerank(self, query: str, documents: Iterable[str], **options: Unpack[RerankOptions]) -> list[RankedDocument]:
        """Order documents by how well they answer a query: best first, equal scores in the order of `documents`.

        Args:
            query: one text.
            documents: any number; more than one request holds are sent in several, whose results are merged.
            **options: see `RerankOptions`.
        """
        job = RerankJob(query, documents, options)
        self._run(job, options)
        return job.result()

    @overload
    def classify(self, inputs: Inputs, **options: Unpack[ClassifyOptions]) -> list[list[LabelScore]]: ...

    @overload
    def classify(self, inputs: Inputs, *, classifier: str, **options: Unpack[TrainedOptions]) -> list[Labels]: ...

    def classify(self, inputs: Inputs, *, classifier: str = "", **options: Any) -> Any:
        """Give the labels of each input, greatest score first: the model's own, or those of `labels` (zero-shot).

        With `classifier` they are those of a trained one, `name` or `name@version`, each input's a `Labels` that tells
        whether it abstains; vectors (a float array [n, width]) may stand for inputs. See `TrainedOptions`.
        """
        job: TrainedJob | ClassifyJob = (
            TrainedJob(inputs, classifier, cast("TrainedOptions", options))
            if classifier
            else ClassifyJob(inputs, cast("ClassifyOptions", options))
        )
        self._run(job, options)
        return job.result()

    def similarity(self, sources: Inputs, targets: Inputs | None = None, **options: Unpack[SimilarityOptions]) -> Array:
        """Compare each source with each target, or the sources among themselves; greater is more alike.

        Lists that one request doesn't hold are compared in blocks.

        Returns:
            float32 [sources, targets].
        """
        job = SimilarityJob(sources, targets, options)
        self._run(job, options)
        return job.result()

    def tokenize(self, texts: str | Iterable[str], **options: Unpack[TokenizeOptions]) -> list[TokenizedText]:
        """Show the tokens that the model would see, not truncated; one per text."""
        job = TokenizeJob(texts, options)
        self._run(job, options)
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
        job = DetokenizeJob(sequences, model, keep_special_tokens=keep_special_tokens)
        self._run(job, {"model": model, "timeout": timeout})
        return job.result()

    def models(self, *, timeout: float | None = None) -> list[Model]:
        """List the models, the default one first."""
        reply = self._transport.call(_methods.LIST_MODELS, model_pb2.ListModelsRequest(), self._deadline(timeout))
        return [model_of(one) for one in reply.models]

    def model(self, name: str = "", *, timeout: float | None = None) -> Model:
        """Describe one model, as it is now; "" is the default one."""
        return self._fetch(name, self._deadline(timeout))

    def watch_models(self, name: str = "", *, timeout: float | None = None) -> Generator[Model, None, None]:
        """Yield every model (or the one of that name) as it is, then each change, until closed.

        A lost connection is made again, as `RetryPolicy` says. Without `timeout` there is no deadline.
        """
        return watch(self._transport, model_pb2.WatchModelsRequest(name=name), Deadline(check_timeout(timeout)))

    def load_model(
        self,
        name: str,
        version: str = "",
        *,
        keep_previous: bool = False,
        unload_first: bool = False,
        timeout: float | None = LOAD_SECONDS,
    ) -> Model:
        """Load a model of the server's repository, or another version of it; return when it is ready.

        It isn't tried again: after a lost connection, look at `models()`.

        Args:
            name: its name in the repository.
            version: "" is the latest.
            keep_previous: keep the version that was there, to be called as `name@version`.
            unload_first: unload it first, for want of memory; not with `keep_previous`.
            timeout: seconds; None: the client's own.

        Raises:
            NotFound: the repository has none of that name or version.
            FailedPrecondition: it can't be loaded; what was there serves on.
            AlreadyExists: that version is loaded.
            PermissionDenied: the server doesn't let callers manage models.
        """
        request = model_pb2.LoadModelRequest(
            name=name, version=version, keep_previous=keep_previous, unload_first=unload_first
        )
        reply = self._transport.once(_methods.LOAD_MODEL, request, self._deadline(timeout).timeout())
        self._models.clear()
        return model_of(reply.model)

    def unload_model(self, name: str, version: str = "", *, timeout: float | None = None) -> Model:
        """Let a model's calls in progress end and give its memory back; "" is all of its versions.

        It isn't tried again. Raises FailedPrecondition for the default model, and where an alias stands for it.
        """
        request = model_pb2.UnloadModelRequest(name=name, version=version)
        reply = self._transport.once(_methods.UNLOAD_MODEL, request, self._deadline(timeout).timeout())
        self._models.clear()
        return model_of(reply.model)

    def aliases(self, *, timeout: float | None = None) -> dict[str, str]:
        """Give what each alias stands for: `name` or `name@version`."""
        reply = self._transport.call(_methods.LIST_MODELS, model_pb2.ListModelsRequest(), self._deadline(timeout))
        return aliases_of(reply.aliases)

    def set_alias(self, alias: str, target: str, *, timeout: float | None = None) -> dict[str, str]:
        """Let `alias` stand for `target`, a model or `name@version`, at once; give all aliases.

        The alias `default` is what calls without a model name mean.
        """
        if not target:
            raise ValueError("target is empty; delete_alias deletes an alias")
        return self._alias(alias, target, timeout)

    def delete_alias(self, alias: str, *, timeout: float | None = None) -> dict[str, str]:
        """Delete an alias; give the others. Without `default`, the configured default model is it again."""
        return self._alias(alias, "", timeout)

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

    def _embedded(self, inputs: Inputs, options: OutputOptions) -> EmbedJob:
        job = EmbedJob(inputs, options)
        self._run(job, options)
        return job

    def _alias(self, alias: str, target: str, timeout: float | None) -> dict[str, str]:
        request = model_pb2.SetAliasRequest(alias=alias, target=target)
        reply = self._transport.call(_methods.SET_ALIAS, request, self._deadline(timeout))
        self._models.clear()
        return aliases_of(reply.aliases)

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(self._transport.settings.timeout if timeout is None else check_timeout(timeout))

    def _fetch(self, name: str, deadline: Deadline) -> Model:
        reply = self._transport.call(_methods.GET_MODEL, model_pb2.GetModelRequest(name=name), deadline)
        model = model_of(reply.model)
        self._models.learn(name, model)
        return model

    def _run(self, job: Job[_PartT, _RequestT, _ReplyT], options: Mapping[str, Any]) -> None:
        name, deadline = options.get("model") or "", self._deadline(options.get("timeout"))
        known = self._models.get(name)
        model = known or self._fetch(name, deadline)
        try:
            parts = self._transport.run(job, model, deadline)
        except NearfieldError as error:
            is_doubtful = self._models.forget_after(name, error)
            if known is None or not is_doubtful or (model := self._fetch(name, deadline)).limits == known.limits:
                raise
            # The limits have changed since they were learned: cut anew.
            parts = self._transport.run(job, model, deadline)
        if parts > 1 and not same_model(now := self._fetch(name, deadline), model):
            # Some parts may be of another version than the others.
            self._transport.run(job, now, deadline)
            if not same_model(self._fetch(name, deadline), now):
                raise Aborted(EXCHANGED)
