"""The settings of search; part of `settings`, which explains the rules."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nearfield_server.config.section import MIB, Count, File, Number, Section

__all__ = ["Qdrant", "Search"]


def _url(value: str) -> str:
    if re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value) is None:
        msg = "must be http://HOST:PORT or https://HOST:PORT, without a query and without a password"
        raise ValueError(msg)
    return value.rstrip("/")


class Search(Section):
    """Collections of points."""

    engine: Literal["embedded", "memory", "qdrant"] = Field(
        "embedded",
        description="What holds collections: embedded (files in data_dir), qdrant (a cluster) or memory (gone with the "
        "server).",
    )
    max_collections: Count = Field(
        1000, ge=1, le=100_000, description="Collections that there may be, and as many aliases; 1 to 100000."
    )
    durability: Literal["process", "disk"] = Field(
        "process", description="When writes count as kept where a collection doesn't say: process, or disk (fsync)."
    )
    exact_below: Count = Field(
        5000, ge=0, le=1_000_000, description="Points up to which a collection has no index; 0 to 1000000."
    )
    ef: Count = Field(
        96, ge=8, le=4096, description="Candidates that a search of an index looks at, unless it says; 8 to 4096."
    )
    memory_bytes: Count = Field(
        64 * MIB, ge=0, le=1 << 40, description="Vectors of each collection kept in memory; 0 to 1099511627776 bytes."
    )
    snapshots: str = Field(
        "",
        description="Where snapshots are kept: a folder, or a URL such as s3://bucket/prefix (nearfield[s3]); empty: "
        "data_dir/snapshots.",
    )
    recall_seconds: Number = Field(
        3600.0,
        ge=0.0,
        le=86400.0,
        description="Seconds between comparisons of each index with exact search; 0 to 86400, 0: never.",
    )
    sweep_seconds: Number = Field(
        60.0, gt=0.0, le=86400.0, description="Seconds between removals of points past their time; over 0 to 86400."
    )


class Qdrant(Section):
    """The cluster that holds collections with `search.engine` qdrant."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        "http://localhost:6333", description="Where the cluster answers: http:// or https://, host and port."
    )
    grpc_port: Count = Field(6334, ge=1, le=65535, description="Its port of gRPC; 1 to 65535.")
    api_key_file: File | None = Field(None, description="File with its API key; none: it asks for none.")
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = Field(
        "nearfield-", description="What the names of our collections begin with there: up to 64 of A-Z a-z 0-9 . _ -."
    )
    shard_number: Count = Field(
        0, ge=0, le=10_000, description="Shards of new collections; 1 to 10000, 0: as the cluster does."
    )
    replication_factor: Count = Field(
        0, ge=0, le=100, description="Copies of each shard of new collections; 1 to 100, 0: as the cluster does."
    )
    write_consistency_factor: Count = Field(
        0,
        ge=0,
        le=100,
        description="Copies that must have a write of new collections; 1 to 100, 0: as the cluster does.",
    )
    read_consistency: Literal["one", "majority", "quorum", "all"] = Field(
        "one", description="Copies that must agree on a read: one, majority, quorum or all."
    )
    write_ordering: Literal["weak", "medium", "strong"] = Field(
        "medium", description="Through which copy writes to a point go: weak, medium or strong."
    )
    timeout_seconds: Count = Field(30, ge=1, le=3600, description="Seconds to wait for each of its answers; 1 to 3600.")
    attempts: Count = Field(
        4, ge=1, le=100, description="How often a call is tried while the cluster can't answer; 1 to 100."
    )
