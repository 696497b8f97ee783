"""Writes to a collection until it is killed: `crash_writer.py FOLDER START`. Tells of each write once it is kept."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from nearfield_server.engines.base import StreamPosition
from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    FieldType,
    Hnsw,
    Record,
    SimilarityMetric,
    UpsertMode,
    VectorQuantization,
)

GROUP = 5  # points of one write
STREAMS = 8


async def write(store, stream, start):
    """Write groups of points for ever; every third write replaces the one before."""
    for number in range(start, sys.maxsize):
        group = number - (number % 3 == 2)
        records = [
            Record(
                id=f"{stream}/{group}/{part}", text=str(number), vector=np.ones(8, np.float32), payload={"k": number}
            )
            for part in range(GROUP)
        ]
        position = StreamPosition(str(stream), number)
        await store.upsert("", records, UpsertMode.UPSERT, wait=False, position=position)
        print(stream, number, flush=True)


async def main(folder, start):
    """Write several streams at once."""
    engine = EmbeddedEngine(folder, EmbeddedSettings())
    await engine.start()
    store = engine.stores().get("docs") or await engine.create(
        CollectionSpec(
            name="docs",
            model="",
            model_version="",
            dimensions=8,
            metric=SimilarityMetric.DOT,
            keyword=None,
            quantization=VectorQuantization.NONE,
            hnsw=Hnsw(),
            payload_indexes={"k": FieldType.INTEGER},
            durability=Durability.PROCESS,
            ttl_seconds=None,
            created_at=datetime.now(UTC),
        )
    )
    await asyncio.gather(*[write(store, stream, start) for stream in range(STREAMS)])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
