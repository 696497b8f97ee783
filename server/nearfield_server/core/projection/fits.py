"""A map by a worker: the message to it, and what comes back. `fit.operation` is the other end."""

from __future__ import annotations

from nearfield_server.core.computing.matter import Matter
from nearfield_server.core.computing.pool import ComputePool, Told, check_installed
from nearfield_server.core.projection.codec import pack_options, unpack_arrays, unpack_projected
from nearfield_server.core.projection.nouns import MapArrays, Projected, ProjectOptions, Way

__all__ = ["check_libraries", "run_projection"]

_LIBRARIES = {
    Way.PACMAP: (("pacmap", "faiss", "sklearn"), "maps"),
    Way.UMAP: (("umap", "faiss", "sklearn"), "maps"),
    Way.TSNE: (("openTSNE", "faiss", "sklearn"), "maps"),
    Way.PCA: (("faiss", "sklearn"), "cluster"),
}


def check_libraries(method: Way) -> None:
    """Raise `FailedPrecondition` where a method's libraries are missing."""
    libraries, extra = _LIBRARIES[method]
    check_installed(libraries, extra)


async def run_projection(
    pool: ComputePool, matter: Matter, options: ProjectOptions, *, anchors: bool, told: Told
) -> tuple[Projected, MapArrays]:
    """Project, in a `turn` of the pool; `anchors`: new items are to come. Raises as `ComputePool.run`."""
    header = {"op": "project", **matter.place(), "options": pack_options(options), "anchors": anchors}
    answer, body = await pool.run(header, b"", told)
    return unpack_projected(answer["projected"]), unpack_arrays(answer["arrays"], body)
