"""Where a model's files are: a folder, or a repository of a hub, whose files are brought into the cache.

    CACHE/models--ORG--MODEL/refs/REVISION          commit that a branch or tag stood for when it was last asked for
                            /nearfield/COMMIT.json  all files of that commit: tells, without a hub, what is missing
                            /snapshots/COMMIT/…     the files, links to blobs/; a model folder
                            /blobs/…

The layout is huggingface_hub's; the list of files is ours.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nearfield_server.config.hub_id import HubId, hub_id_of
from nearfield_server.config.machine import cpu_flags
from nearfield_server.encoder.files import find_files
from nearfield_server.encoder.hub_client import HubClient, HubOptions, HubUnreachable, RemoteFile, cache_folder
from nearfield_server.encoder.hub_files import small_files, with_data
from nearfield_server.encoder.manifest import MANIFEST_FILE, Manifest, read_manifest
from nearfield_server.encoder.model_card import card_license
from nearfield_server.encoder.variants import choose_variant, precisions_of, vision_variant
from nearfield_server.errors import ModelLoadFailure

__all__ = ["HubOptions", "ModelSource", "find_source"]

logger = logging.getLogger("nearfield.hub")

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model folder, the precision to open it with, and what is known from where it comes."""

    folder: Path
    precision: str
    choice: str = ""
    """Why this graph; empty: whoever opens the folder chooses."""
    source: str = ""
    license: str = ""


def find_source(text: str, options: HubOptions | None, device: str, precision: str) -> ModelSource:
    """Give the folder that `text` means; a hub's model is downloaded, as far as it isn't there.

    Args:
        text: a path, or the id of a model on the hub; a path that exists goes first.
        options: of the hub; `None`: `text` is a path.
        device: kind of the device that the model shall run on, by which a graph is chosen.
        precision: the one asked for; empty: the one for the device.

    Raises:
        ModelLoadFailure: the hub hasn't got it, or can't be reached; the message says what to do.
    """
    hub_id = hub_id_of(text) if options is not None else None
    if hub_id is None or options is None:
        return ModelSource(Path(text), precision, license=card_license(Path(text)))
    return _Repository(hub_id, options).bring(device, precision)


class _Repository:
    """One repository at one revision."""

    def __init__(self, hub_id: HubId, options: HubOptions) -> None:
        self._id = hub_id
        self._client = HubClient(options)
        self._folder = cache_folder(options.cache_dir, hub_id)
        self._commit = ""
        self._files: dict[str, RemoteFile] = {}

    @property
    def _snapshot(self) -> Path:
        return self._folder / "snapshots" / self._commit

    def bring(self, device: str, precision: str) -> ModelSource:
        """Download what is missing, and give the folder."""
        cached = self._read_cached()
        if not (cached and _COMMIT.fullmatch(self._id.revision)):
            self._ask(cached=cached)
        if self._missing(["tokenizer.json"]) and "tokenizer.json" not in self._files:
            msg = f"{self._id}: has no tokenizer.json: make one with `nearfield export {self._id.repo} --out DIR`"
            raise ModelLoadFailure(msg)
        self._fetch(small_files(self._files))
        manifest = read_manifest(self._snapshot)
        self._fetch(small_files(self._files, {manifest.files.tokenizer, *manifest.sha256}))
        graphs, opened_with, choice = self._graphs(manifest, device, precision)
        fetched = with_data(self._files, graphs)
        self._fetch(fetched)
        if len(fetched) > len(graphs):
            self._unlink(fetched)
        self._write_ref()
        logger.info("model of the hub", extra={"model": str(self._id), "commit": self._commit, "choice": choice})
        return ModelSource(
            self._snapshot,
            opened_with,
            choice,
            source=f"{self._id.repo}@{self._commit[:12]} ({self._client.endpoint})",
            license=card_license(self._snapshot),
        )

    def _graphs(self, manifest: Manifest, device: str, precision: str) -> tuple[list[str], str, str]:
        """Choose the graphs: their paths, the precision to open the folder with, and why."""
        stated = manifest.files.model is not None or manifest.files.precisions
        if stated:
            found = find_files(self._snapshot, manifest, device, precision)
            paths = [one.relative_to(self._snapshot).as_posix() for one in (found.model, found.vision) if one]
            if absent := [path for path in paths if path not in self._files]:
                msg = f"{self._id}: its {MANIFEST_FILE} names {absent[0]}, which isn't there"
                raise ModelLoadFailure(msg)
            return paths, precision, found.choice
        variant = choose_variant(self._files, device, precision, cpu_flags())
        if variant is None:
            raise ModelLoadFailure(self._nothing_fits(precision))
        vision = vision_variant(self._files, variant.path)
        return [variant.path, *([vision] if vision else [])], variant.precision, variant.choice

    def _nothing_fits(self, precision: str) -> str:
        known = precisions_of(self._files)
        export = f"make it with `nearfield export {self._id.repo} --out DIR` and give DIR"
        if precision and known:
            return f"{self._id}: precision {precision} is asked for, but it has {', '.join(known)}: {export}"
        others = [path for path in self._files if path.endswith(".onnx")]
        has = f"no ONNX file of a known name, but {', '.join(others[:5])}" if others else "no ONNX file"
        return f"{self._id}: {has}: {export}"

    def _ask(self, *, cached: bool) -> None:
        """Ask the hub for the commit and its files, or use what is known."""
        if self._client.offline:
            if not cached:
                raise ModelLoadFailure(self._how_else("the hub is not asked: hub.offline or HF_HUB_OFFLINE is on"))
            return
        try:
            self._commit, self._files = self._client.listing(self._id)
        except HubUnreachable as error:
            if not cached:
                raise ModelLoadFailure(self._how_else(f"{self._client.endpoint} can't be reached: {error}")) from error
            logger.warning(
                "the hub can't be reached, the copy of last time is used",
                extra={"model": str(self._id), "commit": self._commit, "reason": str(error)},
            )
            return
        _write(self._folder / "nearfield" / f"{self._commit}.json", json.dumps(_as_json(self._files)))

    def _fetch(self, paths: Collection[str]) -> None:
        missing = self._missing(paths)
        if not missing:
            return
        if self._client.offline:
            raise ModelLoadFailure(self._how_else(f"{missing[0]} was not downloaded before, and the hub is not asked"))
        try:
            self._client.download(self._id, self._commit, self._files, missing)
        except HubUnreachable as error:
            raise ModelLoadFailure(self._how_else(str(error))) from error

    def _unlink(self, paths: Collection[str]) -> None:
        """Put hard links in the place of symbolic ones, through which ONNX Runtime 1.24 reads no external data."""
        for path in (self._snapshot / path for path in paths):
            if path.is_symlink():
                partial = path.with_name(f"{path.name}.{os.getpid()}.part")
                partial.unlink(missing_ok=True)
                os.link(path.resolve(), partial)
                partial.replace(path)

    def _missing(self, paths: Collection[str]) -> list[str]:
        return [path for path in paths if not (self._snapshot / path).is_file()]

    def _how_else(self, problem: str) -> str:
        return (
            f"{self._id}: can't be downloaded: {problem}. Copy the model's folder to this machine and give its path, "
            f"or run `nearfield export {self._id.repo} --out DIR` where the hub can be reached and copy DIR. "
            f"If a folder is meant: there is none of the path {self._id.repo}"
        )

    def _read_cached(self) -> bool:
        """Read which files the revision had when it was last brought here; give whether that is known."""
        try:
            revision = self._id.revision
            pinned = _COMMIT.fullmatch(revision) is not None
            commit = revision if pinned else (self._folder / "refs" / revision).read_text("ascii").strip()
            if _COMMIT.fullmatch(commit) is None:
                return False
            listed = json.loads((self._folder / "nearfield" / f"{commit}.json").read_text("utf-8"))
            files = {str(path): RemoteFile(**one) for path, one in listed.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return False
        self._commit, self._files = commit, files
        return True

    def _write_ref(self) -> None:
        """Remember the commit of a branch or tag: only now, when all its files are here."""
        if _COMMIT.fullmatch(self._id.revision) is None:
            _write(self._folder / "refs" / self._id.revision, self._commit)


def _as_json(files: Mapping[str, RemoteFile]) -> dict[str, object]:
    return {path: asdict(one) for path, one in sorted(files.items())}


def _write(path: Path, text: str) -> None:
    """Write a file so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    partial.write_text(text, "utf-8")
    partial.replace(path)
