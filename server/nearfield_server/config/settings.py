"""Every setting: its name, default, range and meaning, each in one place. Frozen once read; `loader` reads them.

docs/configuration.md explains each; a test keeps the two together. A size is in bytes, a time in seconds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nearfield_server.config.address import parse_address
from nearfield_server.config.cluster import Cluster
from nearfield_server.config.device import DEVICE_KINDS, parse_device, suggest_device
from nearfield_server.config.search import Qdrant, Search
from nearfield_server.config.section import MIB, Count, File, Number, Section

__all__ = ["BUILTIN", "BUILTIN_NAME", "Batching", "Cache", "Config", "Hub", "Limits", "Stream", "Tls"]

BUILTIN = "builtin"
"""Stands for the built-in encoder where a model's folder is asked for."""
BUILTIN_NAME = "all-MiniLM-L6-v2"
"""What the built-in encoder is called when no models are named."""


def _word(value: Any) -> Any:
    # YAML reads the bare words on and off as truth values.
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _address(value: str) -> str:
    return str(parse_address(value))


def _address_or_nothing(value: str) -> str:
    return _address(value) if value else value


def _device(value: str) -> str:
    return str(parse_device(value))


def _options_by_kind(value: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    for kind in value:
        if kind not in DEVICE_KINDS:
            msg = f"{kind} is no device; known: {', '.join(DEVICE_KINDS)}{suggest_device(kind)}"
            raise ValueError(msg)
    return value


def _option(value: Any) -> Any:
    # ONNX Runtime takes strings, and writes truth values as 1 and 0.
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, (int, float)) else value


def _url_or_nothing(value: str) -> str:
    if value and re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value) is None:
        msg = "must be http://HOST or https://HOST, without a query"
        raise ValueError(msg)
    return value.rstrip("/")


_TARGET = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(@[A-Za-z0-9][A-Za-z0-9._-]{0,63})?$"
_Alias = Annotated[str, Field(pattern=_TARGET)]
_ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Tls(Section):
    """Keys of the gRPC port: none, or `certificate` and `private_key`."""

    certificate: File | None = Field(None, description="PEM file: the server's certificate chain; needs private_key.")
    private_key: File | None = Field(None, description="PEM file: the certificate's key; needs certificate.")
    client_ca: File | None = Field(
        None,
        description="PEM file: authorities of client certificates, which clients must then show; needs the others.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        pair = (self.certificate, self.private_key)
        if any((*pair, self.client_ca)) and not all(pair):
            msg = "set both tls.certificate and tls.private_key, or no key of tls"
            raise ValueError(msg)
        return self


class Limits(Section):
    """Bounds of one call and of the calls at once. Calls over a bound are refused."""

    max_inputs: Count = Field(512, ge=1, le=65536, description="Inputs in one call; 1 to 65536.")
    max_text_bytes: Count = Field(262144, ge=16, le=16 * MIB, description="Bytes of UTF-8 in one text; 16 to 16777216.")
    max_request_bytes: Count = Field(
        16 * MIB, ge=1024, le=1024 * MIB, description="Bytes of one request or stream message; 1024 to 1073741824."
    )
    max_response_bytes: Count = Field(
        16 * MIB, ge=1024, le=1024 * MIB, description="Bytes of one reply; 1024 to 1073741824."
    )
    max_image_bytes: Count = Field(
        10 * MIB, ge=1024, le=256 * MIB, description="Bytes of one image file; 1024 to 268435456."
    )
    max_image_pixels: Count = Field(
        25_000_000, ge=1, le=178_000_000, description="Pixels of one image, as its header says; 1 to 178000000."
    )
    max_concurrent_calls: Count = Field(
        1024, ge=1, le=1_000_000, description="Unary calls in progress at once; 1 to 1000000. Health checks are exempt."
    )
    max_concurrent_streams: Count = Field(
        256, ge=1, le=1_000_000, description="Streaming calls in progress at once; 1 to 1000000."
    )
    max_streams_per_connection: Count = Field(
        256, ge=1, le=1_000_000, description="HTTP/2 streams, hence calls of any kind, on one connection; 1 to 1000000."
    )

    @field_validator("max_request_bytes", mode="after")
    @classmethod
    def _one_text_fits(cls, value: int, info: ValidationInfo) -> int:
        if value < (text := info.data.get("max_text_bytes", 0)):
            msg = f"must be at least limits.max_text_bytes ({text})"
            raise ValueError(msg)
        return value


class Batching(Section):
    """How each model's queue and workers run."""

    workers: Count = Field(
        0, ge=0, le=1024, description="Worker threads of each model; 1 to 1024, 0: one per core the process may use."
    )
    token_budget: Count = Field(
        0, ge=0, le=1 << 24, description="Padded tokens in one batch; 1 to 16777216, 0: measured while warming up."
    )
    max_padding_ratio: Number = Field(
        0.125, ge=0.0, lt=1.0, description="Padding in one batch, as a share of its padded tokens; 0 to below 1."
    )
    max_queue_items: Count = Field(
        20_000, ge=1, le=100_000_000, description="Inputs that may wait for each model; 1 to 100000000."
    )
    max_queue_tokens: Count = Field(
        1_000_000, ge=1, le=10_000_000_000, description="Tokens that may wait for each model; 1 to 10000000000."
    )
    interactive_weight: Count = Field(
        4, ge=1, le=1000, description="Share of the workers for interactive calls, against bulk_weight; 1 to 1000."
    )
    bulk_weight: Count = Field(
        1, ge=1, le=1000, description="Share of the workers for bulk calls, against interactive_weight; 1 to 1000."
    )
    hang_seconds: Number = Field(
        60.0, gt=0.0, le=86400.0, description="Seconds on one batch after which a worker is replaced; over 0 to 86400."
    )
    restart_seconds: Number = Field(
        0.5, ge=0.0, le=3600.0, description="Seconds before a lost worker is replaced; 0 to 3600."
    )


class Stream(Section):
    """How EmbedStream runs."""

    window_inputs: Count = Field(
        256, ge=1, le=65536, description="Unanswered inputs of one stream, after which it isn't read on; 1 to 65536."
    )
    idle_seconds: Number = Field(
        300.0, gt=0.0, le=86400.0, description="Seconds without a message after which a stream ends; over 0 to 86400."
    )


class Cache(Section):
    """Vectors kept for inputs that come again."""

    max_bytes: Count = Field(
        0,
        ge=0,
        le=1 << 40,
        description="Bytes of vectors kept for inputs that come again; 0 to 1099511627776, 0: none.",
    )


class Hub(Section):
    """Where models named ORG/MODEL come from."""

    endpoint: Annotated[str, AfterValidator(_url_or_nothing)] = Field(
        "", description="URL of the hub or of a mirror; empty: HF_ENDPOINT, else https://huggingface.co."
    )
    offline: bool = Field(False, description="Use downloaded models only; HF_HUB_OFFLINE=1 does the same.")
    cache_dir: File | None = Field(None, description="Folder of downloaded models; none: hub in data_dir.")
    token_file: File | None = Field(None, description="File with a token for the hub; none: HF_TOKEN, if set.")
    timeout_seconds: Number = Field(
        10.0, gt=0.0, le=600.0, description="Seconds to wait for each answer of the hub; over 0 to 600."
    )


class Repository(Section):
    """The model repository, and how models are swapped."""

    path: File | None = Field(None, description="Folder of models by name and version; none: models in data_dir.")
    startup: Literal["latest", "none"] = Field(
        "latest", description="What is loaded at start: latest (each name's latest version) or none."
    )
    poll_seconds: Number = Field(
        0.0, ge=0.0, le=86400.0, description="Seconds between looks for new and removed versions; 0: never, to 86400."
    )
    idle_unload_seconds: Number = Field(
        0.0,
        ge=0.0,
        le=1e7,
        description="Seconds without a call after which a model is unloaded; 0: never, to 1e7.",
    )
    unload_first: bool = Field(
        False, description="Unload the old version before the new one is loaded: less memory, and a gap."
    )
    drain_seconds: Number = Field(
        30.0, ge=0.0, le=3600.0, description="Seconds that calls in progress get when their model goes; 0 to 3600."
    )


class Config(Section):
    """All settings of one server."""

    listen: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1:50051", description="Address of gRPC: HOST:PORT (port 0: any free one) or unix:PATH."
    )
    http: Annotated[str, AfterValidator(_address_or_nothing)] = Field(
        "127.0.0.1:8080", description='Address of /metrics and /healthz: as listen; "": no HTTP.'
    )
    data_dir: File = Field(Path("nearfield-data"), description="Folder of the server's data; made when missing.")
    models: dict[_ModelName, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict,
        description='Name of each model (1 to 64 of A-Z a-z 0-9 . _ -) and its folder, hub id or "builtin". '
        "None: the built-in encoder as all-MiniLM-L6-v2.",
    )
    default_model: str = Field("", description="Model of calls that name none; empty: the first of models.")
    aliases: dict[_Alias, Annotated[str, Field(pattern=_TARGET)]] = Field(
        default_factory=dict,
        description="Name of each alias and the model, or NAME@VERSION, that it stands for; SetAlias wins over these.",
    )
    admin: Annotated[Literal["auto", "on", "off"], BeforeValidator(_word)] = Field(
        "auto", description="Whether callers may load and unload models: on, off, or auto: when only this machine can."
    )
    device: Annotated[str, AfterValidator(_device)] = Field(
        "auto",
        description="Where models run: auto (a GPU if this build can use one), cpu, cuda[:N[,M]], tensorrt[:N], "
        "openvino, coreml or dml[:N].",
    )
    precision: Literal["auto", "fp32", "fp16", "int8", "w8"] = Field(
        "auto", description="Which of a model's graphs is run: auto (the one for the device), fp32, fp16, int8 or w8."
    )
    provider_options: Annotated[
        dict[str, dict[str, Annotated[str, BeforeValidator(_option)]]], AfterValidator(_options_by_kind)
    ] = Field(
        default_factory=dict,
        description="By kind of device, options of its execution provider in ONNX Runtime: texts or numbers.",
    )
    model_load_seconds: Number = Field(
        120.0,
        ge=0.0,
        le=86400.0,
        description="Seconds that a graph without a stated SHA-256 may take in a trial process; 0: no trial, to 86400.",
    )
    log_format: Literal["human", "json"] = Field("human", description="Log lines for people or for machines.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    reflection: Annotated[Literal["auto", "on", "off"], BeforeValidator(_word)] = Field(
        "auto", description="gRPC reflection: on, off, or auto: on when only this machine can connect."
    )
    channelz: bool = Field(False, description="gRPC channelz, which shows connections to whoever can call.")
    drain_seconds: Number = Field(
        30.0, ge=0.0, le=3600.0, description="Seconds that calls in progress get when the server stops; 0 to 3600."
    )
    tokenizer_threads: Count = Field(
        0, ge=0, le=1024, description="Threads that tokenise; 1 to 1024, 0: one per core the process may use."
    )
    tls: Tls = Field(default_factory=Tls, description="Keys of the gRPC port.")
    limits: Limits = Field(default_factory=Limits, description="Bounds of calls.")
    batching: Batching = Field(default_factory=Batching, description="Queues and workers.")
    stream: Stream = Field(default_factory=Stream, description="EmbedStream.")
    cache: Cache = Field(default_factory=Cache, description="Vectors kept.")
    hub: Hub = Field(default_factory=Hub, description="Downloads of models.")
    repository: Repository = Field(default_factory=Repository, description="Models by name and version.")
    search: Search = Field(default_factory=Search, description="Collections of points.")
    cluster: Cluster = Field(default_factory=Cluster, description="Clusterings, maps and classifiers.")
    qdrant: Qdrant = Field(default_factory=Qdrant, description="The cluster of search.engine qdrant.")

    @property
    def admin_on(self) -> bool:
        """Whether callers may manage models, `auto` resolved."""
        return parse_address(self.listen).is_local if self.admin == "auto" else self.admin == "on"

    @property
    def repository_path(self) -> Path:
        """Where the model repository is."""
        return self.repository.path or self.data_dir / "models"

    @property
    def reflection_on(self) -> bool:
        """Whether reflection is served, `auto` resolved."""
        return parse_address(self.listen).is_local if self.reflection == "auto" else self.reflection == "on"

    @field_validator("models", mode="after")
    @classmethod
    def _builtin_for_none(cls, value: dict[str, str]) -> dict[str, str]:
        return value or {BUILTIN_NAME: BUILTIN}

    @field_validator("default_model", mode="after")
    @classmethod
    def _served(cls, value: str, info: ValidationInfo) -> str:
        models = info.data.get("models")
        if models and value and value not in models:
            msg = f"must be one of models ({', '.join(models)})"
            raise ValueError(msg)
        return value or next(iter(models or {BUILTIN_NAME}))

    @field_validator("http", mode="after")
    @classmethod
    def _another_port(cls, value: str, info: ValidationInfo) -> str:
        if value and value == info.data.get("listen") and not value.endswith(":0"):
            msg = "must differ from listen"
            raise ValueError(msg)
        return value

    @field_validator("batching", mode="after")
    @classmethod
    def _one_call_fits(cls, value: Batching, info: ValidationInfo) -> Batching:
        limits = info.data.get("limits")
        if isinstance(limits, Limits) and value.max_queue_items < limits.max_inputs:
            msg = (
                f"max_queue_items must be at least limits.max_inputs ({limits.max_inputs}): a full call would never fit"
            )
            raise ValueError(msg)
        return value
