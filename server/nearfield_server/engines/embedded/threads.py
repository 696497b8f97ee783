"""The threads that all collections of an engine share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

__all__ = ["Threads"]


class Threads:
    """`short` for reads of some rows, `long` for scans: those never wait for these."""

    def __init__(self, readers: int) -> None:
        """Have `readers` threads of each kind."""
        self.short = ThreadPoolExecutor(readers, thread_name_prefix="search-short")
        self.long = ThreadPoolExecutor(readers, thread_name_prefix="search-long")

    def close(self) -> None:
        """Wait for what is under way, and end them."""
        self.short.shutdown(wait=True)
        self.long.shutdown(wait=True)
