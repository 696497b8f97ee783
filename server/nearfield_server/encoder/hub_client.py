"""Talks to a hub: what a repository holds, and its files. The only file that imports huggingface_hub."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from nearfield_server.config.hub_id import HubId
from nearfield_server.encoder.hub_progress import showing_progress
from nearfield_server.errors import ModelLoadFailure

__all__ = ["HubClient", "HubOptions", "HubUnreachable", "RemoteFile"]

_NO_ACCESS = (401, 403)
_POLL_SECONDS = 0.2


class _Stopping(Exception):
    """Nobody waits for the download any more."""


class HubUnreachable(Exception):
    """No answer, or one that says to come again. A copy made before may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """As the settings of the section `hub`."""

    cache_dir: Path
    endpoint: str = ""
    offline: bool = False
    token_file: Path | None = None
    timeout_seconds: float = 10.0
    stopping: threading.Event = field(default_factory=threading.Event, compare=False)
    """When it is set, downloads are given up at once; they can be resumed."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """Bytes of a file, and its SHA-256 where the hub states it: for large files."""

    size: int
    sha256: str = ""


class HubClient:
    """One hub, with a token if there is one."""

    def __init__(self, options: HubOptions) -> None:
        """Raises ModelLoadFailure when the token's file can't be read."""
        self._options = options
        self._library = _huggingface_hub()
        self._token: str | bool = self._library.get_token() or False
        if options.token_file is not None:
            try:
                self._token = options.token_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                msg = f"hub.token_file {options.token_file}: can't be read: {getattr(error, 'strerror', '')}"
                raise ModelLoadFailure(msg) from None

    @property
    def endpoint(self) -> str:
        """URL of the hub."""
        return str(self._options.endpoint or self._library.constants.ENDPOINT)

    @property
    def offline(self) -> bool:
        """Nothing may be asked."""
        return self._options.offline or bool(self._library.constants.HF_HUB_OFFLINE)

    def listing(self, hub_id: HubId) -> tuple[str, dict[str, RemoteFile]]:
        """Give the commit that the revision stands for, and its files by path.

        Raises:
            ModelLoadFailure: there is no such repository or revision, or it isn't for us.
            HubUnreachable: no answer.
        """
        api = self._library.HfApi(endpoint=self.endpoint, token=self._token)
        try:
            found = api.model_info(
                hub_id.repo,
                revision=hub_id.revision,
                timeout=self._options.timeout_seconds,
                files_metadata=True,
                token=self._token,
            )
        except Exception as error:
            raise self._failure(hub_id, error) from error
        files = {one.rfilename: RemoteFile(one.size or 0, _sha256(one)) for one in found.siblings or ()}
        return str(found.sha), files

    def download(self, hub_id: HubId, commit: str, files: dict[str, RemoteFile], paths: Sequence[str]) -> None:
        """Bring `paths` of `commit` into the cache. A file appears there when it is whole.

        Raises:
            ModelLoadFailure: not for us, or not what the hub states.
            HubUnreachable: it broke off; a further try goes on from there.
        """
        blobs = cache_folder(self._options.cache_dir, hub_id) / "blobs"
        with showing_progress(str(hub_id), blobs, sum(files[path].size for path in paths)):
            for path in paths:
                try:
                    local = self._unless_stopping(
                        partial(
                            self._library.hf_hub_download,
                            hub_id.repo,
                            path,
                            revision=commit,
                            cache_dir=self._options.cache_dir,
                            endpoint=self.endpoint,
                            token=self._token,
                            etag_timeout=self._options.timeout_seconds,
                            library_name="nearfield",
                        )
                    )
                except _Stopping:
                    msg = f"{hub_id}: not downloaded, the server stops"
                    raise ModelLoadFailure(msg) from None
                except Exception as error:
                    raise self._failure(hub_id, error, path) from error
                _verify(Path(local), files[path].sha256)

    def _unless_stopping(self, call: Callable[[], str]) -> str:
        """Call on a thread that may be left behind, for the library has no way to end a download."""
        outcome: Future[str] = Future()

        def work() -> None:
            try:
                outcome.set_result(call())
            except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
                outcome.set_exception(error)

        threading.Thread(target=work, name="nearfield-hub", daemon=True).start()
        while not wait([outcome], _POLL_SECONDS).done:
            if self._options.stopping.is_set():
                raise _Stopping
        return outcome.result()

    def _failure(self, hub_id: HubId, error: Exception, path: str = "") -> Exception:
        """Make the error to raise: what is wrong, and what to do."""
        known = self._library.utils
        where = f"{hub_id}{f': {path}' if path else ''}"
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, known.GatedRepoError) or (
            status in _NO_ACCESS and not isinstance(error, known.RepositoryNotFoundError)
        ):
            return ModelLoadFailure(
                f"{where}: {self.endpoint} refuses access (HTTP {status}): accept the model's terms at "
                f"{self.endpoint}/{hub_id.repo}, and give a token of that account by HF_TOKEN or hub.token_file"
            )
        if isinstance(error, known.RepositoryNotFoundError):
            hint = "this token can't see it" if self._token else "private: give a token by HF_TOKEN or hub.token_file"
            return ModelLoadFailure(
                f"{where}: {self.endpoint} has no such model, or {hint}. If a folder is meant: none has that path"
            )
        if isinstance(error, known.RevisionNotFoundError):
            return ModelLoadFailure(f"{where}: {self.endpoint} has that model, but no revision {hub_id.revision}")
        if isinstance(error, known.EntryNotFoundError) and not isinstance(error, known.LocalEntryNotFoundError):
            return ModelLoadFailure(f"{where}: {self.endpoint} lists this file, but doesn't have it")
        reason = f"HTTP {status}" if status else type(error.__cause__ or error).__name__
        return HubUnreachable(f"{path}: the download broke off ({reason})" if path else f"no answer ({reason})")


def cache_folder(cache_dir: Path, hub_id: HubId) -> Path:
    """Give the folder of a repository, where huggingface_hub puts it."""
    return cache_dir / f"models--{hub_id.repo.replace('/', '--')}"


def _huggingface_hub() -> Any:
    # Read once, while it is imported. Its own way of large files would write outside the cache folder.
    for name in ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "HF_HUB_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    import huggingface_hub  # noqa: PLC0415 - not every server needs it
    import huggingface_hub.utils  # noqa: PLC0415

    return huggingface_hub


def _sha256(sibling: Any) -> str:
    lfs = getattr(sibling, "lfs", None)
    stated = lfs.get("sha256") if isinstance(lfs, dict) else getattr(lfs, "sha256", None)
    return str(stated or "")


def _verify(file: Path, sha256: str) -> None:
    """Compare a file with what the hub states of it, and remove it if it is another."""
    if not sha256:
        return
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        file.resolve().unlink()
        file.unlink(missing_ok=True)
        msg = f"{file.name}: SHA-256 is {found[:12]}…, the hub states {sha256[:12]}…: damaged on its way; removed"
        raise ModelLoadFailure(msg)
