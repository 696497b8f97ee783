"""The operation "fit" of a worker: what `core.clustering.fits` sends, to a clustering."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from nearfield_server.core.clustering.codec import pack_arrays, pack_fitted, unpack_options
from nearfield_server.core.clustering.fit.fitting import FitJob, Previous, fit
from nearfield_server.core.computing.matter import read_rows, read_strings
from nearfield_server.processes.frames import Frame
from nearfield_server.processes.worker import peak_bytes

__all__ = ["run"]


def run(header: dict[str, Any], data: bytes, told: Callable[[str, float], None]) -> Frame:
    """Fit, and give the result with its arrays."""
    fitted, arrays = fit(_job(header, data), told)
    layout, body = pack_arrays(arrays)
    return {"fitted": pack_fitted(replace(fitted, peak_memory_bytes=peak_bytes())), "arrays": layout}, body


def _job(header: dict[str, Any], data: bytes) -> FitJob:
    rows = read_rows(header["rows"])
    texts, keys = read_strings(header["texts"]), read_strings(header["keys"])
    names, previous = None, None
    width = header["rows"]["dimensions"]
    at = 0
    if header["names"]:
        at = header["names"] * width * 4
        names = np.frombuffer(data[:at], "<f4").reshape(header["names"], width)
    if header["previous"] is not None:
        ids = header["previous"]["ids"]
        end = at + len(ids) * width * 4
        previous = Previous(
            ids=ids,
            next_id=header["previous"]["next_id"],
            centroids=np.frombuffer(data[at:end], "<f4").reshape(len(ids), width),
            clusters=np.frombuffer(data[end:], "<i4").astype(np.int32),
        )
    return FitJob(
        rows=rows,
        options=unpack_options(json.dumps(header["options"])),
        texts=texts,
        keys=keys or (texts if all(texts) else []),
        names=names,
        previous=previous,
    )
