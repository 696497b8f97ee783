"""The picture: its size, its colours, names where they can be read, and what happens without matplotlib."""

import builtins
import struct
import zlib

import numpy as np
import pytest

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.maps import write_picture
from nearfield_server.cli.maps.palette import LIGHT

pytest.importorskip("matplotlib")


def size_of(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def pixels_of(path):
    from matplotlib import image  # noqa: PLC0415  an extra

    return np.rint(image.imread(path)[:, :, :3] * 255).astype(int)


def near(pixels, colour, opacity=1.0):
    """How many pixels have a colour, or that colour over the paper's."""
    wanted = [int(colour[at : at + 2], 16) * opacity + 251 * (1 - opacity) for at in (1, 3, 5)]
    return int((np.abs(pixels - wanted).sum(axis=-1) < 12).sum())


@pytest.mark.slow
def test_a_picture_has_its_size_its_colours_and_its_names(make_map, tmp_path):
    path = tmp_path / "map.png"
    write_picture(path, make_map(groups=3))
    assert size_of(path) == (2000, 1500)
    pixels = pixels_of(path)
    assert sum(near(pixels, colour, 0.85) > 500 for colour in LIGHT) == 3
    named = near(pixels, "#1c2027")
    write_picture(path, make_map(groups=3, names={row * 7: "i" for row in range(3)}))
    assert named > near(pixels_of(path), "#1c2027") + 1000


@pytest.mark.slow
def test_the_same_map_is_the_same_picture(make_map, tmp_path):
    sums = set()
    for _ in range(2):
        write_picture(tmp_path / "map.png", make_map(count=50))
        sums.add(zlib.crc32((tmp_path / "map.png").read_bytes()))
    assert len(sums) == 1


@pytest.mark.slow
def test_names_that_matplotlib_could_read_as_formulas_or_lacks_letters_for_are_drawn(make_map, hostile, tmp_path):
    hostile = [*hostile, "costs $5 and $6", r"\frac{1}{", "漢字とかな"]
    ids = np.arange(len(hostile), dtype=np.int32)
    data = make_map(
        count=len(hostile),
        clusters=ids,
        names=dict(enumerate(hostile)),
        texts=hostile,
        ids=hostile,
        title=hostile[6] + " $x$",
        subtitle=hostile[3],
    )
    write_picture(tmp_path / "map.png", data)
    assert size_of(tmp_path / "map.png") == (2000, 1500)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"count": 1}, {"noise": 1.1}, {"coordinates": np.ones((300, 2), np.float32)}])
def test_one_point_noise_alone_and_points_at_one_place_are_drawn(make_map, tmp_path, changes):
    write_picture(tmp_path / "map.png", make_map(**changes))
    assert (pixels_of(tmp_path / "map.png")[200:] != [251, 251, 250]).any()


def test_without_matplotlib_it_says_what_to_install(make_map, tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name="matplotlib")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CliError, match=r'matplotlib, which is not installed: pip install "nearfield\[maps\]"'):
        write_picture(tmp_path / "map.png", make_map())
