"""The examples of docs/deduplication.md run."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "deduplication.md").read_text("utf-8")


@pytest.mark.slow
def test_the_examples_run(server, monkeypatch, capsys):
    monkeypatch.setattr("nearfield.Client.__init__.__defaults__", (server.target,))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for code in blocks:
        exec(compile(code, "docs/deduplication.md", "exec"), {})
    assert "2 near 0 0.9" in capsys.readouterr().out
