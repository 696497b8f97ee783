"""The derived vector index of a collection: Qdrant Edge in child processes, built in generations.

Edge never frees the GIL, so the server never imports it: `vector_index` looks after workers, which run `worker`.
"""

from nearfield_server.engines.embedded.index.query import (
    IndexFilter,
    IndexNotReady,
    IndexQuery,
    IndexSettings,
    Rows,
)
from nearfield_server.engines.embedded.index.vector_index import VectorIndex

__all__ = ["IndexFilter", "IndexNotReady", "IndexQuery", "IndexSettings", "Rows", "VectorIndex"]
