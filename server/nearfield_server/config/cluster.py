"""The settings of clustering, maps and classifiers; part of `settings`, which explains the rules."""

from __future__ import annotations

from pydantic import Field

from nearfield_server.config.machine import effective_memory_bytes
from nearfield_server.config.section import Count, Number, Section

__all__ = ["Cluster"]


class Cluster(Section):
    """Clusterings, maps and classifiers, computed in processes of their own."""

    workers: Count = Field(
        1, ge=1, le=64, description="Processes for calls, and as many for jobs; 1 to 64. They start when needed."
    )
    threads: Count = Field(
        0, ge=0, le=1024, description="Threads of each process; 1 to 1024, 0: one per core the server may use."
    )
    max_waiting: Count = Field(
        16, ge=0, le=10_000, description="Computations that may wait for a process, of calls and of jobs; 0 to 10000."
    )
    memory_bytes: Count = Field(
        0,
        ge=0,
        le=1 << 44,
        description="Memory that one computation may take; 1 to 17592186044416, 0: half of what the server may use.",
    )
    idle_seconds: Number = Field(
        300.0, ge=0.0, le=86400.0, description="Seconds that a process stays warm without work; 0 to 86400."
    )
    max_items: Count = Field(
        10_000, ge=1, le=1_000_000, description="Items of one Cluster call; 1 to 1000000. Streams and jobs take more."
    )
    max_kept: Count = Field(
        1000,
        ge=1,
        le=100_000,
        description="Clusterings that may be kept, as many maps, and as many versions of classifiers; 1 to 100000.",
    )
    max_ttl_seconds: Number = Field(
        31_536_000.0, gt=0.0, le=3.2e9, description="Longest time that results may be kept; over 0 to 3200000000."
    )
    default_ttl_seconds: Number = Field(
        604_800.0, gt=0.0, le=3.2e9, description="Time that results of jobs are kept unless the caller says."
    )
    max_attempts: Count = Field(
        3, ge=1, le=100, description="How often a job is begun that ends with its process or the server; 1 to 100."
    )

    @property
    def computation_bytes(self) -> int:
        """Memory that one computation may take, 0 resolved."""
        return self.memory_bytes or effective_memory_bytes() // 2
