"""The operation "train" of a worker: what `core.classifiers.trainer` sends, to a classifier."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nearfield_server.core.classifiers.codec import pack_trained, pack_weights
from nearfield_server.core.classifiers.fit.training import TrainJob, train
from nearfield_server.core.classifiers.nouns import Method
from nearfield_server.core.computing.matter import read_rows, read_strings
from nearfield_server.processes.frames import Frame

__all__ = ["run"]

_ONE_THREAD = 1e10
"""Examples x labels x dimensions; below it threads cost more, by waiting for each other, than they give."""


def run(header: dict[str, Any], data: bytes, told: Callable[[str, float], None]) -> Frame:
    """Train, and give what that tells, with the weights."""
    rows = read_rows(header["rows"])
    names = header["names"]
    texts, keys = read_strings(header["texts"]), read_strings(header["keys"])
    job = TrainJob(
        rows=rows,
        labels=np.frombuffer(data, "<i4").astype(np.int64),
        names=names,
        keys=keys or (texts if all(texts) else []),
        method=None if header["method"] is None else Method(header["method"]),
        seed=header["seed"],
    )
    small = float(rows.size) * len(names) <= _ONE_THREAD
    with threadpool_limits(1) if small else contextlib.nullcontext():
        trained, weights = train(job, told)
    return {"trained": pack_trained(trained)}, pack_weights(weights)
