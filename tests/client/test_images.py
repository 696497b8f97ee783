"""Images as inputs: bytes, paths, and objects that save themselves."""

import io
from pathlib import Path

import numpy as np
import pytest

import nearfield


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(b"\x89PNG bytes")
    return path


def test_bytes_and_paths(client, fake, picture):
    given = [nearfield.Image(b"\xff\xd8jpeg"), nearfield.Image(picture), nearfield.Image(str(picture)), "a text", [7]]
    vectors = client.embed(given)
    assert vectors[:, 0].tolist() == [6, 10, 10, 6, 1]
    assert [one.WhichOneof("input") for one in fake.requests[-1].inputs] == ["image"] * 3 + ["text", "token_ids"]


def test_a_single_image_gives_a_vector(client, picture):
    assert client.embed(nearfield.Image(picture)).shape == (4,)
    assert client.embed(bytearray_image()).tolist() == client.embed([bytearray_image()])[0].tolist()


def bytearray_image():
    return nearfield.Image(bytearray(b"abc"))


def test_pillow_images_are_sent_as_png(client, fake):
    pillow = pytest.importorskip("PIL.Image")
    red = pillow.new("RGB", (3, 2), "red")
    client.embed(red)
    with pillow.open(io.BytesIO(fake.requests[-1].inputs[0].image)) as sent:
        assert (sent.format, sent.size, sent.getpixel((0, 0))) == ("PNG", (3, 2), (255, 0, 0))
    with pytest.raises(
        nearfield.InvalidArgument, match=r"inputs\[1\]: a Image that can't be saved as PNG .*: convert it"
    ):
        client.embed([red, pillow.new("CMYK", (3, 2))])


class Drawing:
    def save(self, fp, format):  # noqa: A002 - Pillow's own name
        fp.write(b"drawn as " + format.encode())


def test_anything_that_saves_itself(client, fake):
    client.embed([Drawing()])
    assert fake.requests[-1].inputs[0].image == b"drawn as PNG"
    with pytest.raises(nearfield.InvalidArgument):
        client.embed([Drawing])  # the class, not one of its objects


def test_a_file_that_is_gone_is_named_with_its_index(client, fake, tmp_path):
    missing = nearfield.Image(tmp_path / "dog.png")
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[1\]: image .*dog\.png can't be read: No such file"):
        client.embed(["a", missing])
    assert not fake.calls


def test_files_are_read_when_they_are_sent(client, fake, picture):
    image = nearfield.Image(picture)
    picture.write_bytes(b"another")
    client.embed([image])
    assert fake.requests[-1].inputs[0].image == b"another"
    assert repr(image) == f"Image({str(picture)!r})"
    assert repr(nearfield.Image(b"x" * 2000)) == "Image(<2,000 bytes>)"


def test_images_are_sent_in_parts_by_their_bytes(client, fake, tmp_path):
    for index in range(10):
        (tmp_path / f"{index}.jpg").write_bytes(b"j" * 30_000)
    vectors = client.embed([nearfield.Image(path) for path in sorted(tmp_path.glob("*.jpg"))])
    assert vectors[:, 0].tolist() == [30_000] * 10
    assert fake.calls["Embed"] == 4
    assert max(one.ByteSize() for one in fake.requests) <= 100_000


def test_an_image_in_a_stream_fails_alone(client, tmp_path, picture):
    given = [nearfield.Image(picture), nearfield.Image(tmp_path / "dog.png"), "text"]
    results = list(client.embed_stream(given, ordered=True))
    assert [one.error is None for one in results] == [True, False, True]
    assert "inputs[1]: image" in results[1].error.message


@pytest.mark.parametrize("path", [Path("a.png"), Path("a.txt")])
def test_a_path_is_not_read_by_itself(client, path):
    hint = r"nearfield\.Image\(path\) embeds an image file, path\.read_text\(\) gives a text"
    with pytest.raises(TypeError, match=hint):
        client.embed(path)
    with pytest.raises(nearfield.InvalidArgument, match=rf"inputs\[1\].*{hint}"):
        client.embed(["fine", path])


def test_bytes_are_neither_text_nor_image(client):
    with pytest.raises(TypeError, match=r"nearfield\.Image"):
        client.embed(b"png")
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[0\]: a bytes.*nearfield\.Image"):
        client.embed([b"png"])


@pytest.mark.parametrize("wrong", [None, 3, np.zeros((2, 2, 3))], ids=str)
def test_what_is_no_image(wrong):
    with pytest.raises(TypeError, match="the bytes of its file or its path"):
        nearfield.Image(wrong)


def test_a_file_that_goes_while_it_is_sent(client, monkeypatch, picture, tmp_path):
    gone = nearfield.Image(tmp_path / "gone.png")
    monkeypatch.setattr(nearfield.Image, "size_bytes", lambda self: 3)
    with pytest.raises(FileNotFoundError):
        client.embed([gone])
    results = list(client.embed_stream([gone, nearfield.Image(picture)], ordered=True))
    assert "inputs[0]: image" in results[0].error.message
    assert results[1].error is None


def test_an_image_over_the_limit_is_not_sent(client, fake, tmp_path):
    fake.model.limits.max_image_bytes = 1_000
    (tmp_path / "large.png").write_bytes(b"x" * 1_001)
    large, small = nearfield.Image(tmp_path / "large.png"), nearfield.Image(b"x" * 1_000)
    words = r"an image of 1,001 bytes; at most 1,000 \(Limits.max_image_bytes\): make it smaller"
    with pytest.raises(nearfield.InvalidArgument, match=rf"^inputs\[1\]: {words}"):
        client.embed([small, large])
    with pytest.raises(nearfield.InvalidArgument, match=rf"^inputs\[1\]: {words}"):
        client.classify([small, large], labels=["a"])
    with pytest.raises(nearfield.InvalidArgument, match=rf"^targets\[0\]: {words}"):
        client.similarity(["a"], [large])
    assert set(fake.calls) == {"GetModel"}
    results = list(client.embed_stream([small, large, "a"], ordered=True))
    assert [one.error is None for one in results] == [True, False, True]
