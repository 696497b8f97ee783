"""Fills numba's cache, so that no caller waits for DENSITY to be compiled: when an image is built, for one.

    NUMBA_CACHE_DIR=/opt/numba python -m nearfield_server.core.clustering.fit.compiling

The server must then run with the same NUMBA_CACHE_DIR, on the same kind of processor, or both with
NUMBA_CPU_NAME=generic.
"""

from __future__ import annotations

import numpy as np

from nearfield_server.core.clustering.fit.fitting import FitJob, fit
from nearfield_server.core.clustering.nouns import FitOptions, Method

__all__ = ["main"]

_ITEMS = 400
_GROUPS = 8
_WIDTH = 32


def main() -> None:
    """Fit a few groups; all that EVoC needs is compiled then."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((_GROUPS, _WIDTH)).repeat(_ITEMS // _GROUPS, axis=0)
    rows += random.standard_normal(rows.shape) / 2
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    fit(FitJob(rows=rows.astype(np.float32), options=FitOptions(method=Method.DENSITY)))


if __name__ == "__main__":
    main()
