"""Every Python block of the guide runs as it stands."""

import re
from pathlib import Path

import pytest

import nearfield

GUIDE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block {number}" for number in range(1, len(BLOCKS) + 1)])
def test_a_block_runs(block, target, fake, monkeypatch):
    monkeypatch.setattr("nearfield.Client.__init__.__defaults__", (target,))
    monkeypatch.setattr("nearfield.AsyncClient.__init__.__defaults__", (target,))
    fake.model.limits.max_inputs = 64
    exec(compile(block.replace("localhost:50051", target), "docs/client.md", "exec"), {})


def test_every_public_method_has_a_heading():
    names = [name for name in vars(nearfield.Client) if not name.startswith("_")]
    headings = re.findall(r"^###? (.*)$", GUIDE, re.MULTILINE)
    assert [name for name in names if not any(f"`{name}`" in heading for heading in headings)] == []
