"""Keeps a second server out of a data folder (flock(2): the lock goes with the process that holds it)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from nearfield_server.errors import ConfigError

__all__ = ["FolderLock"]

_FILE = ".lock"


class FolderLock:
    """Held from `take` to `give_back`."""

    def __init__(self, folder: Path) -> None:
        """Stand for the lock of `folder`."""
        self._path = folder / _FILE
        self._descriptor = -1

    def take(self) -> None:
        """Take the lock.

        Raises:
            ConfigError: another process holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise ConfigError(
                f"the data folder {self._path.parent} is in use by process {holder}; "
                "stop that server, or give this one another data_dir"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        self._descriptor = descriptor

    def give_back(self) -> None:
        """Let another process have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
