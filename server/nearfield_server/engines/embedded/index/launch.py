"""Starting a worker of an index."""

from __future__ import annotations

from nearfield_server.processes.child import Child
from nearfield_server.processes.frames import Header

__all__ = ["start_worker"]

_MODULE = "nearfield_server.engines.embedded.index.worker"
_SINGLE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # numpy only converts there


async def start_worker(header: Header) -> Child:
    """Start one and tell it what to do. A caller that is cancelled meanwhile leaves no process behind."""
    child = await Child.start(_MODULE, _SINGLE)
    child.send(header)
    return child
