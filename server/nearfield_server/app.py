"""The server's life: start, warm, serve, drain, stop. Builds the object graph; other layers are told what to use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import uvloop

import nearfield_server
from nearfield_server.batching.queue import QueueLimits
from nearfield_server.computations import Computations
from nearfield_server.config.machine import effective_cpu_count
from nearfield_server.config.settings import BUILTIN, Config
from nearfield_server.core.aliases import Aliases
from nearfield_server.core.cache import EmbeddingCache
from nearfield_server.core.classifier import Classifier
from nearfield_server.core.collection_calls import CollectionsSettings
from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.collections import Collections
from nearfield_server.core.duplicates import DuplicateFinder
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.lifecycle import Lifecycle, LifecycleSettings
from nearfield_server.core.memory import bound_arenas
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.pipeline import Pipeline
from nearfield_server.core.points import Points
from nearfield_server.core.query_vectors import QueryVectors
from nearfield_server.core.recommender import Recommender
from nearfield_server.core.reembedder import Reembedder
from nearfield_server.core.repository import Repository
from nearfield_server.core.reranker import Reranker
from nearfield_server.core.searcher import Searcher
from nearfield_server.core.serving import Opener, ServingSettings
from nearfield_server.core.snapshots import Snapshots
from nearfield_server.core.upkeep import Upkeep, UpkeepSettings
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.loader import LoadedEncoder, load, load_options
from nearfield_server.engines.base import Engine
from nearfield_server.engines.bm25 import Bm25
from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.index import IndexSettings
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.engines.exact import ExactEngine
from nearfield_server.engines.qdrant import QdrantEngine, QdrantSettings
from nearfield_server.errors import ConfigError, ModelLoadFailure
from nearfield_server.rpc.collections import CollectionRpcs
from nearfield_server.rpc.embed import EmbedServicer, UseCases
from nearfield_server.rpc.health import HealthServicer
from nearfield_server.rpc.interceptor import CallInterceptor
from nearfield_server.rpc.models import ModelServicer
from nearfield_server.rpc.points import PointRpcs
from nearfield_server.rpc.reembeddings import ReembeddingRpcs
from nearfield_server.rpc.search_service import SearchServicer
from nearfield_server.rpc.searches import Finders, SearchRpcs
from nearfield_server.rpc.server import RPCS, SEARCH, SERVICES, GrpcServer, GrpcSettings, Servicers
from nearfield_server.rpc.snapshots import SnapshotRpcs
from nearfield_server.rpc.stream import StreamSettings
from nearfield_server.telemetry import logs
from nearfield_server.telemetry.loop_lag import watch_event_loop
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import CollectionStats, Durability, Limits, ModelState, Priority
from nearfield_server.web.app import make_app
from nearfield_server.web.server import HttpServer

__all__ = ["Server", "serve"]

logger = logging.getLogger("nearfield.app")

_DRAIN_POLL_SECONDS = 0.02
_SCRAPE_SECONDS = 5.0


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; give the exit status: 0 after a drain within its time, 1 if calls were cut off.

    Raises:
        ConfigError: an address can't be listened on.
        ModelLoadFailure: no model could be loaded.
    """
    logs.configure(config.log_format, config.log_level)
    bound_arenas(max(2, effective_cpu_count()))
    return uvloop.run(_serve(config))


async def _serve(config: Config) -> int:
    server = Server(config)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    starting, stopping = asyncio.ensure_future(server.start()), asyncio.ensure_future(stop.wait())
    try:
        # A signal while models load must not wait for them.
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
    except BaseException:
        await server.stop(drain_seconds=0.0)
        raise
    finally:
        starting.cancel()
    return 0 if await server.stop(config.drain_seconds) else 1


class Server:
    """One server: gRPC and HTTP ports over the models of a configuration."""

    def __init__(self, config: Config, load_model: Callable[[str, Path], LoadedEncoder] | None = None) -> None:
        """Build everything; nothing is read, started or listened on before `start`. Call it on the event loop.

        `load_model` takes the place of `encoder.loader.load`: another backend, or a fake one.
        """
        self._config = config
        cores = effective_cpu_count()
        self.metrics = Metrics(RPCS, version=nearfield_server.__version__, effective_threads=cores)
        self._threads = ThreadPoolExecutor(config.tokenizer_threads or cores, thread_name_prefix="nearfield-tokenize")
        self._image_threads = ThreadPoolExecutor(max(1, cores // 2), thread_name_prefix="nearfield-image")
        cache_bytes = config.cache.max_bytes
        cache = EmbeddingCache(cache_bytes, self.metrics.cache) if cache_bytes else None
        self._build_models(_serving(config, config.batching.workers or cores), load_model, cache)
        limits = config.limits
        self._interceptor = CallInterceptor(
            self.metrics, max_calls=limits.max_concurrent_calls, max_streams=limits.max_concurrent_streams
        )
        pipeline = Pipeline(self._threads, cache, self._image_threads)
        use_cases = UseCases(
            Embedder(self.registry, pipeline), Reranker(self.registry, pipeline), Classifier(self.registry, pipeline)
        )
        stream = StreamSettings(window_inputs=config.stream.window_inputs, idle_seconds=config.stream.idle_seconds)
        search = self._build_search(use_cases)
        self.computations = Computations(config, use_cases.embedder, self.registry, self.collections, self.metrics)
        servicers = Servicers(
            EmbedServicer(use_cases, self.computations.scorer, self.registry, self.metrics, stream),
            ModelServicer(self.registry, self._lifecycle, admin=config.admin_on),
            search,
            self.computations.servicer,
            self.computations.operations,
        )
        self._health = HealthServicer(self.registry, SERVICES, {SEARCH: lambda: self.collections.ready})
        self._grpc = GrpcServer(_grpc(config), servicers, self._health, self._interceptor)
        web = make_app(self.metrics.registry, self._readiness, nearfield_server.__version__)
        self._http = HttpServer(web, config.http) if config.http else None
        self._lag: asyncio.Task[None] | None = None
        self.target = ""
        """Address of gRPC to connect to, known after `start`."""
        self.http = ""
        """Address of HTTP, known after `start`; empty: none."""

    def _build_models(
        self,
        serving: ServingSettings,
        load_model: Callable[[str, Path], LoadedEncoder] | None,
        cache: EmbeddingCache | None,
    ) -> None:
        """Make the registry, and what changes it."""
        config = self._config
        self._loading = load_options(config)
        reading = partial(load, device=config.device, precision=config.precision, options=self._loading)
        opener = Opener(load_model or reading, serving, self._threads)
        repository = Repository(config.repository_path)
        aliases = Aliases(config.data_dir / "aliases.json", config.aliases)
        self.registry = ModelRegistry(serving.limits, self.metrics, aliases, default=config.default_model)
        self._lifecycle = Lifecycle(self.registry, repository, opener, _lifecycle(config), cache)
        seconds = UpkeepSettings(
            poll_seconds=config.repository.poll_seconds, idle_unload_seconds=config.repository.idle_unload_seconds
        )
        self._upkeep = Upkeep(self.registry, self._lifecycle, repository, seconds, self._threads)

    def _build_search(self, use_cases: UseCases) -> SearchServicer:
        """Make the collections, and what stores and finds points in them."""
        config, metrics = self._config, self.metrics.search
        folder = config.data_dir / "collections"
        settings = CollectionsSettings(
            engine=config.search.engine,
            max_collections=config.search.max_collections,
            durability=Durability(config.search.durability),
        )
        aliases = Aliases(folder / "aliases.json", {})
        unfinished = Aliases(folder / "unfinished.json", {})
        self.collections = Collections(_engine(config, folder), self.registry, aliases, unfinished, settings)
        vectors = CollectionVectors(use_cases.embedder, self.registry, Bm25)
        place = config.search.snapshots or str(config.data_dir.absolute() / "snapshots")
        self._snapshots = Snapshots(place, self.collections, vectors, metrics)
        journal = config.data_dir / "reembeddings"
        self._reembedder = Reembedder(journal, self.collections, vectors, self.registry, metrics)
        points = Points(self.collections, vectors, metrics)
        idle_seconds = config.stream.idle_seconds
        queries = QueryVectors(vectors)
        finders = Finders(
            Searcher(self.collections, queries, use_cases.reranker, metrics),
            Recommender(self.collections, queries, metrics),
            DuplicateFinder(self.collections, metrics),
        )
        return SearchServicer(
            CollectionRpcs(self.collections, vectors, metrics),
            PointRpcs(self.collections, points, self.registry, self.metrics, idle_seconds),
            SearchRpcs(finders, self.registry, self.metrics, idle_seconds),
            SnapshotRpcs(self._snapshots),
            ReembeddingRpcs(self._reembedder),
        )

    async def start(self) -> None:
        """Listen, open the collections, then load all models at once. Health is SERVING when this returns.

        Raises:
            ConfigError: an address can't be listened on, or the collections can't be opened.
            ModelLoadFailure: the default model can't be served. Other models may fail: they are listed as FAILED.
        """
        started = time.monotonic()
        self._lag = asyncio.create_task(watch_event_loop(self.metrics), name="nearfield-loop-lag")
        if self._http is not None:
            self.http = await self._http.start()
        self.target = await self._grpc.start()
        logger.info("listening", extra={"grpc": self.target, "http": self.http or "off"})
        await self._snapshots.open()
        await self._reembedder.open()
        await self.collections.open()
        await self.computations.open()
        self.metrics.search.watch(partial(_stats, self.collections, asyncio.get_running_loop()))
        folders = {name: _folder(path) for name, path in self._config.models.items()}
        await self._lifecycle.start(folders)
        self._upkeep.start()
        await self._reembedder.start()
        await self.computations.start()
        default = self.registry.status("")
        if default.state is ModelState.FAILED:
            raise ModelLoadFailure(default.message)
        logger.info("serving", extra={"seconds": round(time.monotonic() - started, 3)})

    async def stop(self, drain_seconds: float | None = None) -> bool:
        """Refuse new calls, let those in progress finish, then stop. Give whether all finished in time.

        Health flips to NOT_SERVING first, so that load balancers look elsewhere.
        """
        limit = self._config.drain_seconds if drain_seconds is None else drain_seconds
        self.registry.drain()
        self._loading.stopping.set()
        logger.info("draining", extra={"in_progress": self._interceptor.active, "seconds": limit})
        deadline = time.monotonic() + limit
        while self._interceptor.active and time.monotonic() < deadline:  # noqa: ASYNC110 - a poll needs no hook in calls
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        finished = not self._interceptor.active
        # Health watchers and idle connections are all that is left: they are told to go.
        await self._grpc.stop(grace_seconds=0.2 if finished else 0.0)
        self._upkeep.stop()
        self.metrics.search.watch(dict)
        await self.computations.close()
        await self._reembedder.close()
        await self.collections.close()
        await self._lifecycle.close()
        if self._http is not None:
            await self._http.stop()
        if self._lag is not None:
            self._lag.cancel()
        for threads in (self._threads, self._image_threads):
            threads.shutdown(wait=False, cancel_futures=True)
        if self.target.startswith("unix:"):
            with contextlib.suppress(FileNotFoundError):
                Path(self.target.removeprefix("unix:")).unlink()  # noqa: ASYNC240 - one system call at the end
        logger.info("stopped", extra={"cut_off": 0 if finished else self._interceptor.active})
        return finished

    def _readiness(self) -> tuple[bool, dict[str, str]]:
        states = self._health.states()
        return states[""], {name or "server": "SERVING" if state else "NOT_SERVING" for name, state in states.items()}


def _engine(config: Config, folder: Path) -> Engine:
    search = config.search
    if search.engine == "memory":
        return ExactEngine()
    if search.engine == "qdrant":
        return QdrantEngine(_qdrant(config))
    return EmbeddedEngine(
        folder,
        EmbeddedSettings(
            exact_below=search.exact_below,
            memory_bytes=search.memory_bytes,
            sweep_seconds=search.sweep_seconds,
            recall_seconds=search.recall_seconds,
            index=IndexSettings(ef=search.ef),
        ),
    )


def _qdrant(config: Config) -> QdrantSettings:
    given = config.qdrant
    try:
        key = given.api_key_file.read_text("utf-8").strip() if given.api_key_file else None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"qdrant.api_key_file: {given.api_key_file} can't be read"
        raise ConfigError(msg) from error
    return QdrantSettings(
        url=given.url,
        api_key=key,
        grpc_port=given.grpc_port,
        prefix=given.prefix,
        shard_number=given.shard_number or None,
        replication_factor=given.replication_factor or None,
        write_consistency_factor=given.write_consistency_factor or None,
        read_consistency=None if given.read_consistency == "one" else given.read_consistency,
        write_ordering=given.write_ordering,
        timeout_seconds=given.timeout_seconds,
        attempts=given.attempts,
        upkeep_seconds=config.search.sweep_seconds,
    )


def _stats(collections: Collections, loop: asyncio.AbstractEventLoop) -> Mapping[str, CollectionStats]:
    """Ask for the figures of all collections, from the scraping thread."""
    return asyncio.run_coroutine_threadsafe(collections.stats(), loop).result(_SCRAPE_SECONDS)


def _folder(path: str) -> Path:
    return builtin_folder() if path == BUILTIN else Path(path)


def _serving(config: Config, workers: int) -> ServingSettings:
    limits, batching = config.limits, config.batching
    return ServingSettings(
        limits=Limits(
            max_inputs=limits.max_inputs,
            max_text_bytes=limits.max_text_bytes,
            max_request_bytes=limits.max_request_bytes,
            max_response_bytes=limits.max_response_bytes,
            stream_window_inputs=config.stream.window_inputs,
            max_request_tokens=batching.max_queue_tokens,
            max_image_bytes=limits.max_image_bytes,
            max_image_pixels=limits.max_image_pixels,
        ),
        workers=workers,
        token_budget=batching.token_budget,
        max_padding_ratio=batching.max_padding_ratio,
        hang_seconds=batching.hang_seconds,
        restart_seconds=batching.restart_seconds,
        queue=QueueLimits(
            max_items=batching.max_queue_items,
            max_tokens=batching.max_queue_tokens,
            weights={Priority.INTERACTIVE: batching.interactive_weight, Priority.BULK: batching.bulk_weight},
        ),
    )


def _lifecycle(config: Config) -> LifecycleSettings:
    repository = config.repository
    return LifecycleSettings(
        load_latest=repository.startup == "latest",
        unload_first=repository.unload_first,
        drain_seconds=repository.drain_seconds,
    )


def _grpc(config: Config) -> GrpcSettings:
    return GrpcSettings(
        listen=config.listen,
        limits=_serving(config, 1).limits,
        max_streams_per_connection=config.limits.max_streams_per_connection,
        reflection=config.reflection_on,
        channelz=config.channelz,
        certificate=config.tls.certificate,
        private_key=config.tls.private_key,
        client_ca=config.tls.client_ca,
    )
