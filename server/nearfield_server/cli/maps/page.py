"""The HTML page: template, style, scripts and data put into one file.

The page's own policy lets it load nothing and run only these scripts, so whatever a text holds stays text.
`unsafe-eval` is for regl, which compiles its drawing commands.
"""

from __future__ import annotations

import base64
import hashlib
import html
from importlib import resources
from pathlib import Path

from nearfield_server.cli.maps.data import MapData, clusters_of, plain
from nearfield_server.cli.maps.encoding import encode, encode_items

__all__ = ["SCRIPTS", "write_map"]

SCRIPTS = ("data.js", "view.js", "labels.js", "panel.js", "items.js", "main.js")
"""The page's own scripts, in the order in which they need each other."""


def write_map(path: str | Path, data: MapData) -> None:
    """Write the page. Raises `OSError`."""
    parts = {
        "POLICY": html.escape(_policy(library := _asset("scatterplot.min.js"), script := _script())),
        "TITLE": html.escape(plain(data.title)),
        "STYLE": _asset("map.css"),
        "LIBRARY": library,
        "DATA": encode(data, clusters_of(data)),
        "SCRIPT": script,
        "ITEMS": encode_items(data),
    }
    # Once through the template, so that a title that looks like a place isn't filled in.
    pieces = _asset("map.html").split("@@")
    Path(path).write_text(
        "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces)), "utf-8", newline="\n"
    )


def _script() -> str:
    """One function around all scripts: what they name stays in it."""
    return "(() => {\n'use strict';\n" + "\n".join(_asset(name) for name in SCRIPTS) + "\n})();"


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; worker-src blob:; script-src 'unsafe-eval' {hashes}"


def _asset(name: str) -> str:
    return (resources.files("nearfield_server.cli.maps") / "page" / name).read_text("utf-8")
