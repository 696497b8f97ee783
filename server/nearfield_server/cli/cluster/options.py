"""The options of both commands that cluster: checked, and as the client takes them."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nearfield_server.cli.failures import CliError

if TYPE_CHECKING:
    from nearfield import ClusterOptions

__all__ = [
    "AssignNoiseOption",
    "ClustersOption",
    "KeepOption",
    "LanguageOption",
    "Linkage",
    "LinkageOption",
    "Method",
    "MethodOption",
    "MinClusterSizeOption",
    "NamesOption",
    "PreviousOption",
    "SeedOption",
    "TargetClustersOption",
    "ThresholdOption",
    "cluster_options",
    "keep_seconds",
]

Method = StrEnum("Method", ["kmeans", "density", "agglomerative"])
Linkage = StrEnum("Linkage", ["average", "complete", "single", "ward"])
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_HOW, _NAMING = "How", "Names"

MethodOption = Annotated[
    Method,
    typer.Option("--method", "-m", help="density needs no number and leaves noise.", rich_help_panel=_HOW),
]
ClustersOption = Annotated[
    int | None,
    typer.Option("--clusters", "-k", min=1, max=65_536, help="How many; left out: chosen.", rich_help_panel=_HOW),
]
TargetClustersOption = Annotated[
    int | None,
    typer.Option(min=1, max=65_536, help="Density: show the layer nearest to this number.", rich_help_panel=_HOW),
]
MinClusterSizeOption = Annotated[
    int | None,
    typer.Option(min=2, max=1_000_000, help="Density: items in the smallest cluster; 5.", rich_help_panel=_HOW),
]
AssignNoiseOption = Annotated[
    bool, typer.Option("--assign-noise", help="Density: noise goes to the nearest cluster.", rich_help_panel=_HOW)
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(help="Agglomerative: groups further apart aren't joined; 0.4.", rich_help_panel=_HOW),
]
LinkageOption = Annotated[
    Linkage | None, typer.Option(help="Agglomerative: distance of two groups; average.", rich_help_panel=_HOW)
]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Start of all random choices.", rich_help_panel=_HOW)
]
NamesOption = Annotated[
    str, typer.Option("--names", metavar="FILE", help="Names to choose from, one a line.", rich_help_panel=_NAMING)
]
LanguageOption = Annotated[
    list[str] | None,
    typer.Option("--language", help="Whose stop words are no keywords, such as en.", rich_help_panel=_NAMING),
]
PreviousOption = Annotated[
    str, typer.Option("--previous", metavar="ID", help="Kept clustering whose ids go on.", rich_help_panel=_HOW)
]
KeepOption = Annotated[
    str, typer.Option("--keep", metavar="TIME", help="Keep it for so long: 30m, 12h, 7d.", rich_help_panel=_HOW)
]

_FLAGS = {
    "k": ("--clusters", ("kmeans", "agglomerative")),
    "target_clusters": ("--target-clusters", ("density",)),
    "min_cluster_size": ("--min-cluster-size", ("density",)),
    "assign_noise": ("--assign-noise", ("density",)),
    "distance_threshold": ("--threshold", ("agglomerative",)),
    "linkage": ("--linkage", ("agglomerative",)),
}


def cluster_options(method: Method, given: dict[str, Any]) -> ClusterOptions:
    """Give the options that are set, with names and the time to keep as they were typed.

    Raises:
        CliError: an option of another method, two that exclude each other, or a file or time that is none.
    """
    # 0 is a value, of a seed for one; False, which equals it, is a switch that wasn't given.
    found = {name: value for name, value in given.items() if value is not False and value not in (None, "", ())}
    for name in found:
        flag, methods = _FLAGS.get(name, ("", (method.value,)))
        if method.value not in methods:
            raise CliError(f"{flag} goes with --method {' or '.join(methods)}; the method is {method.value}")
    if "k" in found and "distance_threshold" in found:
        raise CliError("--clusters and --threshold exclude each other: give one of them")
    if (threshold := found.get("distance_threshold")) is not None and not threshold > 0:
        raise CliError(f"--threshold is {threshold}; it must be greater than 0")
    if "linkage" in found:
        found["linkage"] = found["linkage"].value
    if "names" in found:
        found["names"] = _names(Path(found["names"]))
    if "keep_seconds" in found:
        found["keep_seconds"] = keep_seconds(found["keep_seconds"])
    return cast("ClusterOptions", {"method": method.value, **found})


def keep_seconds(text: str) -> float:
    """Give a time such as 90s, 30m, 12h, 7d or 2w in seconds. Raises CliError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip().lower())
    if found is None or not (seconds := float(found[1]) * _UNITS[found[2]]):
        raise CliError(f"--keep {text}: give a time such as 90s, 30m, 12h, 7d or 2w")
    return seconds


def _names(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CliError(f"--names {file} is not UTF-8 (byte {error.start})") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise CliError(f"--names {file} has no names: give one a line")
    return names
