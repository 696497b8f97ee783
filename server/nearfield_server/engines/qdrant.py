"""Collections in a Qdrant cluster, which holds the truth itself: docs/qdrant.md.

`qdrant-client` is imported when the engine starts; the rest of it is in the modules `qdrant_*`.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from nearfield_server.engines.base import Store
from nearfield_server.engines.embedded.codec import pack_spec, unpack_spec
from nearfield_server.errors import AlreadyExists, CollectionNotFound, ConfigError, NearfieldError
from nearfield_server.types import CollectionSpec, SimilarityMetric

__all__ = ["QdrantEngine", "QdrantSettings"]

logger = logging.getLogger("nearfield.search")

_LOCAL = ":memory:"


@dataclass(frozen=True, slots=True, kw_only=True)
class QdrantSettings:
    """Where the cluster is, and how collections are made and asked.

    `url`: such as `http://qdrant:6333`, or ":memory:" for the client's local mode, for tests. `prefix`: of the names
    there. `shard_number` and the factors: of new collections; None: as the cluster does. `read_consistency`: replicas
    that must agree; None: one is asked. `attempts`: how often a call is tried while the cluster can't answer.
    Points past their time are deleted, and collections of other servers looked for, every `upkeep_seconds`.
    """

    url: str
    api_key: str | None = None
    grpc_port: int = 6334
    prefix: str = "nearfield-"
    shard_number: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    read_consistency: int | Literal["majority", "quorum", "all"] | None = None
    write_ordering: Literal["weak", "medium", "strong"] = "medium"
    timeout_seconds: int = 30
    attempts: int = 4
    upkeep_seconds: float = 60.0

    @property
    def local(self) -> bool:
        """Whether the client answers itself."""
        return self.url == _LOCAL


class QdrantEngine:
    """Collections of a cluster; see `Engine`. Those that others than Nearfield made there are left alone."""

    def __init__(self, settings: QdrantSettings, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch; points vanish by it, and writes are numbered by it."""
        self._settings = settings
        self._clock = clock
        self._stores: dict[str, Any] = {}
        self._making: set[str] = set()
        self._session: Any = None
        self._upkeep: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Tell what it holds."""
        return f"QdrantEngine({self._settings.url!r}, collections={sorted(self._stores)})"

    async def start(self) -> None:
        """Connect, and find the collections.

        Raises:
            ConfigError: the client isn't installed, or no server answers.
        """
        try:
            await self._connect()
            await self._session.make_notes()
            await self._look()
        except ConfigError:
            raise
        except Exception as error:
            await self.close()
            why = error.message if isinstance(error, NearfieldError) else type(error).__name__
            raise ConfigError(f"qdrant.url: no Qdrant server answers at {self._settings.url}: {why}") from error
        self._upkeep = asyncio.get_running_loop().create_task(self._keep_up())

    async def _connect(self) -> None:
        try:
            client = importlib.import_module("qdrant_client")
            sessions = importlib.import_module("nearfield_server.engines.qdrant_session")
            calls = importlib.import_module("nearfield_server.engines.qdrant_calls")
        except ModuleNotFoundError as error:
            if error.name != "qdrant_client":
                raise
            text = "search.engine: qdrant needs its client: pip install 'nearfield[cpu,qdrant]'"
            raise ConfigError(text) from error
        one = self._settings
        where: dict[str, Any] = {"location": _LOCAL} if one.local else {"url": one.url, "prefer_grpc": True}
        if not one.local:
            where |= {"api_key": one.api_key, "grpc_port": one.grpc_port, "timeout": one.timeout_seconds}
            where["check_compatibility"] = False  # it would ask, and block, before anything is awaited
        made = client.AsyncQdrantClient(**where)
        self._session = sessions.Session(one, calls.Calls(made, one.attempts, one.timeout_seconds), self._clock)

    async def _look(self) -> None:
        """Take up collections that are new in the cluster, and let go of those that are gone."""
        prefix = self._settings.prefix
        listed = await self._session.calls("get_collections")
        names = {one.name for one in listed.collections if one.name.startswith(prefix)} - {self._session.notes}
        for name in names:
            ours = name.removeprefix(prefix)
            if ours in self._stores or ours in self._making:
                continue
            info = await self._session.calls("get_collection", collection_name=name)
            packed = (info.config.metadata or {}).get(self._metadata())
            if packed is not None:
                self._stores[ours] = self._store(name, unpack_spec(packed))
        for gone in [one for one in self._stores if prefix + one not in names and one not in self._making]:
            self._stores.pop(gone).refuse()

    async def create(self, spec: CollectionSpec) -> Store:
        """Make a collection. Raises `AlreadyExists`."""
        name = self._settings.prefix + spec.name
        there = spec.name in self._stores or spec.name in self._making
        if there or await self._session.calls("collection_exists", collection_name=name):
            raise AlreadyExists("there is a collection of that name", spec.name)
        self._making.add(spec.name)
        try:
            await self._make(name, spec)
            store: Store = self._store(name, spec)
            self._stores[spec.name] = store
        finally:
            self._making.discard(spec.name)
        return store

    async def _make(self, name: str, spec: CollectionSpec) -> None:
        models = importlib.import_module("qdrant_client").models
        stores = importlib.import_module("nearfield_server.engines.qdrant_store")
        indexes = importlib.import_module("nearfield_server.engines.qdrant_indexes")
        sessions = importlib.import_module("nearfield_server.engines.qdrant_session")
        distance = {
            SimilarityMetric.COSINE: models.Distance.COSINE,
            SimilarityMetric.DOT: models.Distance.DOT,
            SimilarityMetric.EUCLIDEAN: models.Distance.EUCLID,
        }[spec.metric]
        words = models.SparseVectorParams(modifier=models.Modifier.IDF)
        await self._session.calls(
            "create_collection",
            collection_name=name,
            vectors_config={stores.DENSE: models.VectorParams(size=spec.dimensions, distance=distance)},
            sparse_vectors_config=None if spec.keyword is None else {stores.KEYWORD: words},
            hnsw_config=models.HnswConfigDiff(m=spec.hnsw.m, ef_construct=spec.hnsw.ef_construct),
            quantization_config=sessions.quantization_of(spec),
            on_disk_payload=True,
            metadata={self._metadata(): pack_spec(spec)},
            **self._session.sharding(),
        )
        await indexes.make_own_indexes(self._session, name)
        for path, kind in spec.payload_indexes.items():
            await indexes.make_index(self._session, name, path, kind)

    def _store(self, name: str, spec: CollectionSpec) -> Any:
        return importlib.import_module("nearfield_server.engines.qdrant_store").QdrantStore(self._session, name, spec)

    @staticmethod
    def _metadata() -> str:
        return str(importlib.import_module("nearfield_server.engines.qdrant_session").METADATA)

    async def drop(self, name: str) -> None:
        """Delete a collection with its points. Raises `CollectionNotFound`."""
        store = self._stores.pop(name, None)
        if store is None:
            raise CollectionNotFound(name)
        store.refuse()
        there = self._settings.prefix + name
        await self._session.calls("delete_collection", collection_name=there)
        await self._session.forget_positions(there)

    def stores(self) -> dict[str, Store]:
        """Give all collections by name, as they were when last looked for."""
        return dict(self._stores)

    async def close(self) -> None:
        """Close the connection."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.gather(self._upkeep, return_exceptions=True)
        self._stores.clear()
        if self._session is not None:
            await self._session.calls.close()

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(self._settings.upkeep_seconds)
            try:
                await self._look()
                for store in list(self._stores.values()):
                    await store.sweep()
            except Exception as error:  # noqa: BLE001 - the next round tries again
                logger.warning("upkeep of the Qdrant collections failed: %s", type(error).__name__)
