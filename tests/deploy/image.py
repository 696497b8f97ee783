"""Builds and runs images with Debian's buildah, where there is no Docker and nothing can be pulled.

debootstrap makes a base of Debian's own Python that stands in for the official image, under its name.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
BASE = "docker.io/library/python:3.11-slim-bookworm"

# In a mount namespace of its own: the image's file system read-only, with what a container engine adds to it.
_RUN = """
set -e
root=$1 data=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
exec chroot --userspec=65532:65532 "$root" "$@"
"""


def missing() -> str:
    """Name what stands in the way of building images here; empty if nothing does."""
    tools = ("buildah", "debootstrap", "unshare", "chroot")
    lacking = [f"{tool} isn't installed" for tool in tools if shutil.which(tool) is None]
    if os.geteuid() != 0:
        lacking.append("not root")
    return ", ".join(lacking)


class Builder:
    """Images in a storage folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options = ["--root", folder / "storage", "--runroot", folder / "run", "--storage-driver", "vfs"]

    def buildah(self, command: str, *arguments: object) -> str:
        """Run one buildah command; give what it printed."""
        return _run(["buildah", command, *self._options, *arguments])

    def make_base(self) -> None:
        """Make the stand-in for the official Python image."""
        root = self._folder / "debian"
        packages = "python3,python3-venv,python3-pip,ca-certificates"
        _run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root])
        # Where the official image has it.
        (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        container = self.buildah("from", "scratch").strip()
        self.buildah("copy", "--quiet", container, root, "/")
        self.buildah("config", "--env", "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", container)
        self.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)

    def build(self, tag: str) -> None:
        """Build the CPU image with the pip configuration of this machine."""
        secret, paths = self._pip_config()
        volumes = [f"--volume={path}:{path}:ro" for path in paths]
        self.buildah(
            "build", "--isolation=chroot", "--format=docker", "--pull-never", "--target=cpu", f"--tag={tag}",
            f"--secret=id=pip,src={secret}", *volumes, "--build-arg=VERSION=1.2.3",
            f"--ignorefile={DOCKER / 'Dockerfile.dockerignore'}", f"--file={DOCKER / 'Dockerfile'}", ROOT,
        )  # fmt: skip

    def root_of(self, tag: str) -> Path:
        """Give the folder of an image's file system."""
        container = self.buildah("from", "--pull-never", tag).strip()
        return Path(self.buildah("mount", container).strip())

    def _pip_config(self) -> tuple[Path, list[str]]:
        """Write pip's configuration of this machine to one file; name the local files and folders in it."""
        listed = _run([sys.executable, "-m", "pip", "config", "list"])
        settings = re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE)
        values = {key: value.replace("\\n", " ") for key, value in settings if key != "disable-pip-version-check"}
        file = self._folder / "pip.conf"
        file.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()))
        words = " ".join(values.values()).split()
        # The pages of an index on disk lead to files beside it.
        indexes = [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file://")]
        others = [Path(word) for word in words if word.startswith("/")]
        return file, sorted({str(path) for path in (*indexes, *others) if path.exists()})


def run_in(root: Path, data: Path, environment: dict[str, str], command: list[str]) -> subprocess.Popen[str]:
    """Start a program in an image's file system, read-only, as the image's user; a signal to it reaches the program."""
    variables = [f"{key}={value}" for key, value in environment.items()]
    inside = ["/usr/bin/env", "-i", "-C", "/data", *variables, *command]
    line = ["unshare", "--mount", "sh", "-c", _RUN, "sh", root, data, *inside]
    return subprocess.Popen(list(map(str, line)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _run(command: list[object]) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-6000:]}"
        raise RuntimeError(msg)
    return done.stdout
