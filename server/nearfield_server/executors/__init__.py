"""Jobs over many Parquet shards, on this machine or on a cluster of them.

base       what an executor is: work over shards, and shards held in memory
local      processes and threads of this machine
ray        the actors and tasks of a Ray cluster; the only file that imports ray
shards     row groups of Parquet files in, parts written whole or not at all out
embedding  texts to vectors; encoding: the encoder in the worker itself
kmeans     clusters; held: a shard's vectors in memory, and the steps on them
dedup      duplicates; cells: the comparison of what lies close together

Jobs know nothing of the executor that they run on. Whatever moves between machines but parts goes through the driver,
and is small: sums of clusters, digests of rows, pairs of duplicates.
"""

from __future__ import annotations

__all__: list[str] = []
