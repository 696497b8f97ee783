"""The operation "project" of a worker: what `core.projection.fits` sends, to a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nearfield_server.core.computing.matter import read_rows, read_strings
from nearfield_server.core.projection.codec import pack_arrays, pack_projected, unpack_options
from nearfield_server.core.projection.fit.fitting import MapJob, fit
from nearfield_server.processes.frames import Frame
from nearfield_server.processes.worker import peak_bytes

__all__ = ["run"]


def run(header: dict[str, Any], _: bytes, told: Callable[[str, float], None]) -> Frame:
    """Project, and give the result with its arrays."""
    texts, keys = read_strings(header["texts"]), read_strings(header["keys"])
    job = MapJob(
        rows=read_rows(header["rows"]),
        options=unpack_options(header["options"]),
        keys=keys or (texts if all(texts) else []),
        anchors=header["anchors"],
    )
    projected, arrays = fit(job, told)
    shapes, body = pack_arrays(arrays)
    return {"projected": pack_projected(replace(projected, peak_memory_bytes=peak_bytes())), "arrays": shapes}, body
