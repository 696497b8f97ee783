"""What clusters, deduplicates, projects and trains: the part of `app` that builds it, opens it and ends it."""

from __future__ import annotations

from functools import partial

from nearfield_server.config.machine import effective_cpu_count
from nearfield_server.config.settings import Config
from nearfield_server.core.classifiers.kept import KeptClassifiers
from nearfield_server.core.classifiers.scorer import Scorer
from nearfield_server.core.classifiers.trainer import Trainer, TrainTools
from nearfield_server.core.clustering.assigner import Assigner
from nearfield_server.core.clustering.clusterer import Clusterer, Tools
from nearfield_server.core.clustering.jobs import ClusterJobs, JobSettings, JobTools
from nearfield_server.core.clustering.kept import KeptClusterings
from nearfield_server.core.collections import Collections
from nearfield_server.core.computing.gatherer import Gatherer
from nearfield_server.core.computing.pool import ComputePool, PoolSettings
from nearfield_server.core.dedup.deduplicator import Deduplicator
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.projection.kept import KeptProjections
from nearfield_server.core.projection.projector import MapTools, Projector
from nearfield_server.rpc.classifiers import ClassifierRpcs
from nearfield_server.rpc.cluster_convert import start_call_of
from nearfield_server.rpc.cluster_service import ClusterServicer
from nearfield_server.rpc.clusters import ClusterLimits, ClusterRpcs, ClusterTools
from nearfield_server.rpc.deduplication import DedupRpcs
from nearfield_server.rpc.operations import JobRpcs, OperationsServicer
from nearfield_server.rpc.projections import MapRpcs, ProjectionRpcs
from nearfield_server.rpc.stream import StreamSettings
from nearfield_server.telemetry.metrics import Metrics

__all__ = ["Computations"]


class Computations:
    """The workers, what is kept of their results, and the servicers over both."""

    def __init__(
        self, config: Config, embedder: Embedder, registry: ModelRegistry, collections: Collections, metrics: Metrics
    ) -> None:
        """Build everything; nothing is read or started."""
        self._config = config
        self._registry = registry
        self._metrics = metrics
        settings, folder = config.cluster, config.data_dir
        self.pool = ComputePool(_pool(config), metrics.cluster)
        self._clusterings = KeptClusterings(folder / "clusterings", settings.max_kept, metrics.cluster)
        self._projections = KeptProjections(folder / "projections", settings.max_kept, metrics.cluster)
        self._classifiers = KeptClassifiers(folder / "classifiers", settings.max_kept, metrics.classifiers.kept)
        self.scorer = Scorer(self._classifiers, embedder, registry, metrics.classifiers)
        self._gatherer = Gatherer(embedder, registry, collections, settings.computation_bytes)
        clusterer = Clusterer(
            Tools(self._gatherer, self.pool, self._clusterings, metrics.cluster, settings.computation_bytes)
        )
        self._jobs = self._build_jobs(clusterer)
        jobs = JobRpcs(self._jobs, self._clusterings)
        self.servicer = ClusterServicer(
            self._cluster_rpcs(clusterer), jobs, self._dedup_rpcs(), self._map_rpcs(), self._classifier_rpcs()
        )
        self.operations = OperationsServicer(jobs)

    async def open(self) -> None:
        """Read what is kept."""
        await self._clusterings.open()
        await self._projections.open()
        await self._classifiers.open()

    async def start(self) -> None:
        """Go on with jobs, once there are collections and models."""
        await self._jobs.start()

    async def close(self) -> None:
        """End all work; jobs go on at the next start."""
        await self._jobs.close()
        await self.pool.close()
        await self._clusterings.close()
        await self._projections.close()
        await self._classifiers.close()

    def _build_jobs(self, clusterer: Clusterer) -> ClusterJobs:
        settings = self._config.cluster
        parse = partial(start_call_of, max_ttl=settings.max_ttl_seconds, default_ttl=settings.default_ttl_seconds)
        tools = JobTools(parse, clusterer, self._gatherer, self.pool, self._clusterings, self._registry)
        folder = self._config.data_dir / "cluster-jobs"
        return ClusterJobs(tools, JobSettings(folder=folder, max_attempts=settings.max_attempts))

    def _cluster_rpcs(self, clusterer: Clusterer) -> ClusterRpcs:
        settings = self._config.cluster
        limits = ClusterLimits(
            max_items=settings.max_items,
            memory_bytes=settings.computation_bytes,
            max_ttl_seconds=settings.max_ttl_seconds,
            default_ttl_seconds=settings.default_ttl_seconds,
            max_kept=settings.max_kept,
        )
        assigner = Assigner(self._clusterings, self._gatherer, self._metrics.cluster)
        tools = ClusterTools(clusterer, self._gatherer, self._clusterings, assigner, self._jobs)
        return ClusterRpcs(tools, self._registry, limits, self._config.stream.idle_seconds)

    def _dedup_rpcs(self) -> DedupRpcs:
        stream = self._config.stream
        settings = StreamSettings(window_inputs=stream.window_inputs, idle_seconds=stream.idle_seconds)
        deduplicator = Deduplicator(self._gatherer, self._config.cluster.computation_bytes)
        return DedupRpcs(deduplicator, self._registry, self._metrics, settings)

    def _map_rpcs(self) -> ProjectionRpcs:
        settings, metrics = self._config.cluster, self._metrics.cluster
        tools = MapTools(self._gatherer, self.pool, self._projections, metrics, settings.computation_bytes)
        rpcs = MapRpcs(Projector(tools), self._gatherer, self._projections)
        return ProjectionRpcs(rpcs, self._registry, settings.max_ttl_seconds, self._config.stream.idle_seconds)

    def _classifier_rpcs(self) -> ClassifierRpcs:
        memory, metrics = self._config.cluster.computation_bytes, self._metrics.classifiers
        trainer = Trainer(TrainTools(self._gatherer, self.pool, self._classifiers, metrics, memory))
        idle_seconds = self._config.stream.idle_seconds
        return ClassifierRpcs(trainer, self._classifiers, self._gatherer, self._registry, idle_seconds)


def _pool(config: Config) -> PoolSettings:
    settings = config.cluster
    return PoolSettings(
        workers=settings.workers,
        max_waiting=settings.max_waiting,
        threads=settings.threads or effective_cpu_count(),
        memory_bytes=settings.computation_bytes,
        idle_seconds=settings.idle_seconds,
        cache_dir=config.data_dir / "numba-cache",
    )
