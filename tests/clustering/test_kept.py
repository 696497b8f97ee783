"""Results on the disk: whole or not there, until they expire."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from nearfield_server.core.computing.kept import Kept, KeptSettings
from nearfield_server.errors import ClusteringNotFound, DataDamaged, FailedPrecondition

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Head:
    id: str
    created_at: datetime
    expires_at: datetime | None
    sizes: tuple[int, ...] = ()


@pytest.fixture
def open_kept(tmp_path):
    opened = []

    async def make(most=10):
        settings = KeptSettings(Head, missing=ClusteringNotFound, most=most, setting="cluster.max_kept")
        opened.append(Kept(tmp_path / "kept", settings))
        await opened[-1].open()
        return opened[-1]

    return make


async def test_what_was_saved_is_there_after_a_restart(open_kept):
    kept = await open_kept()
    one = Head("a", NOW, None, (1, 2))
    await kept.save(one, {"x.bin": b"\0\1", "y.json": b"[]"})
    await kept.save(Head("b", NOW + timedelta(1), None), {})
    await kept.close()
    kept = await open_kept()
    assert [each.id for each in kept.all()] == ["b", "a"]
    assert kept.head("a") == one
    assert await kept.part("a", "x.bin") == b"\0\1"
    await kept.close()


async def test_half_of_one_is_done_away_with(open_kept, tmp_path):
    kept = await open_kept()
    await kept.save(Head("a", NOW, None), {"x": b"1"})
    await kept.close()
    (tmp_path / "kept" / "a").rename(tmp_path / "kept" / "a.making")
    kept = await open_kept()
    assert kept.all() == []
    assert list((tmp_path / "kept").iterdir()) == []
    await kept.close()


async def test_expired_ones_arent_given(open_kept):
    kept = await open_kept()
    await kept.save(Head("old", NOW, NOW + timedelta(seconds=1)), {"x": b""})
    assert kept.all() == []
    assert not kept.has("old")
    with pytest.raises(ClusteringNotFound):
        await kept.part("old", "x")
    await kept.close()


@pytest.mark.parametrize("harm", ["cut", "format", "gone", "type"])
async def test_a_damaged_one_isnt_served_and_harms_no_other(open_kept, tmp_path, harm):
    kept = await open_kept()
    for id_ in ("a", "b"):
        await kept.save(Head(id_, NOW, None), {"x": b"1"})
    await kept.close()
    file = tmp_path / "kept" / "a" / "head.json"
    content = json.loads(file.read_bytes())
    if harm == "gone":
        file.unlink()
    elif harm == "cut":
        file.write_bytes(file.read_bytes()[:20])
    elif harm == "format":
        file.write_text(json.dumps(content | {"format": 99}))
    else:
        file.write_text(json.dumps(content | {"head": {"id": 1}}))
    kept = await open_kept()
    assert [each.id for each in kept.all()] == ["b"]
    await kept.close()


async def test_a_part_that_is_gone_is_told(open_kept, tmp_path):
    kept = await open_kept()
    await kept.save(Head("a", NOW, None), {"x": b"1"})
    (tmp_path / "kept" / "a" / "x").unlink()
    with pytest.raises(DataDamaged):
        await kept.part("a", "x")
    await kept.delete("a")
    await kept.save(Head("abc1", NOW, None), {})
    with pytest.raises(ClusteringNotFound, match=r"did you mean abc1\?"):
        kept.head("abc2")
    await kept.close()


async def test_there_may_be_so_many(open_kept):
    kept = await open_kept(most=1)
    kept.check_room()
    await kept.save(Head("a", NOW, None), {})
    with pytest.raises(FailedPrecondition, match=r"cluster\.max_kept"):
        kept.check_room()
    await kept.close()
