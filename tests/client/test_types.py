"""A type checker sees what the client gives: mypy, strict, reads `typing_samples.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.slow
def test_the_types_are_those_of_the_results():
    settings = ["--config-file", FOLDER.parents[1] / "pyproject.toml", "--warn-unused-ignores"]
    command = [sys.executable, "-m", "mypy", *settings, FOLDER / "typing_samples.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=FOLDER.parents[1])
    assert done.returncode == 0, done.stdout
