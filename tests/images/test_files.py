"""Files that lie, break off, hide bombs or are of other kinds: refused in words, at the cost of their bytes."""

import io
import struct
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nearfield_server.encoder.image_files import MAX_PARTS
from nearfield_server.encoder.image_jpeg import MAX_SCANS
from nearfield_server.encoder.image_processor import ImageRecipe
from nearfield_server.encoder.images import ImageLimits, ImageProcessor
from nearfield_server.errors import InvalidInput

HALF = (0.5, 0.5, 0.5)
PROCESSOR = ImageProcessor(
    ImageRecipe(shortest_edge=32, resize=None, crop=(32, 32), resample=3, rescale=1 / 255, mean=HALF, std=HALF)
)
LIMITS = ImageLimits(max_bytes=10 << 20, max_pixels=25_000_000)
START = b"\x89PNG\r\n\x1a\n"


def run(data, limits=LIMITS):
    return PROCESSOR(data, "inputs[3].image", limits)


def refused(data, words=None, limits=LIMITS):
    with pytest.raises(InvalidInput, match=words) as caught:
        run(data, limits)
    (violation,) = caught.value.violations
    assert violation.field == "inputs[3].image"
    assert len(violation.description) < 160
    return violation.description


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (48, 64, 3), np.uint8))
FILES = {
    "PNG": saved(NOISE, "PNG"),
    "PNG-interlaced-grey": saved(NOISE.convert("L"), "PNG"),
    "JPEG": saved(NOISE, "JPEG"),
    "JPEG-progressive": saved(NOISE, "JPEG", progressive=True),
    "WEBP": saved(NOISE, "WEBP"),
    "WEBP-lossless": saved(NOISE, "WEBP", lossless=True),
    "WEBP-animated": saved(NOISE, "WEBP", save_all=True, append_images=[NOISE.rotate(90)]),
    "APNG": saved(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(90)]),
}


def chunk(name, content=b"", crc=None):
    crc = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png(width, height, pixels, *before, colour=2, after=()):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return START + header + b"".join(before) + chunk(b"IDAT", pixels) + b"".join(after) + chunk(b"IEND")


ROWS = zlib.compress(b"".join(b"\0" + bytes(range(30)) for _ in range(10)))
SMALL = png(10, 10, ROWS)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(*added):
    return FILES["JPEG"][:2] + b"".join(added) + FILES["JPEG"][2:]


def cheaply(work, bytes_=16 << 20, seconds=2.0):
    """Run `work` and hold it to its memory, as Python's allocator sees it, and to CPU time of this thread."""
    tracemalloc.start()
    started = time.thread_time()
    try:
        result = work()
        spent, peak = time.thread_time() - started, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spent < seconds
    assert peak < bytes_
    return result


# Headers


@pytest.mark.parametrize("size", [(13_000, 13_000), (2**31 - 1, 2**31 - 1), (25_000_001, 1), (2**32 - 1, 1)])
def test_pixels_are_counted_before_anything_is_decoded(size):
    bomb = png(*size, zlib.compress(bytes(20_000_000), 9))
    assert len(bomb) < 21_000
    words = cheaply(lambda: refused(bomb, "it must have 1 to 25000000"), bytes_=1 << 20, seconds=0.1)
    assert f"{size[0]} x {size[1]}" in words


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_no_pixels(size):
    refused(png(*size, ROWS), "it must have 1 to")


@pytest.mark.parametrize("size", [(10, 11), (11, 10), (5000, 5000), (10, 20_000), (10, 2_000_000)])
def test_a_header_that_promises_more_than_there_is(size):
    refused(png(*size, ROWS), "damaged PNG|too long and narrow")


def test_jpeg_and_webp_headers_that_lie():
    jpeg = bytearray(FILES["JPEG"])
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_535, 65_535)
    refused(bytes(jpeg), "65535 x 65535")
    # libjpeg paints grey what an end mark cuts short, and nobody is told: documented.
    jpeg[at : at + 4] = struct.pack(">HH", 1_000, 1_000)
    assert run(bytes(jpeg)).shape == (3, 32, 32)
    jpeg[at : at + 4] = struct.pack(">HH", 0, 64)  # "see the DNL segment"
    refused(bytes(jpeg), "it must have 1 to")
    webp = bytearray(FILES["WEBP-animated"])
    webp[24:30] = b"\xff" * 6
    refused(bytes(webp), "16777216 x 16777216")
    webp[24:30] = b"\x00" * 6
    refused(bytes(webp), "damaged WEBP")


def test_a_strip_that_would_be_scaled_up_without_end():
    """1 x 25,000,000 pixels, the shorter side to 32: 800 million pixels in between."""
    strip = saved(Image.new("L", (1, 2_000_000)), "PNG")
    cheaply(lambda: refused(strip, "too long and narrow to scale its shorter side to 32"), seconds=0.1)


def test_bytes_are_counted_first():
    assert "has 200 bytes; the limit is 199" in refused(bytes(200), "limit", ImageLimits(199, 100))
    assert run(SMALL, ImageLimits(len(SMALL), 100)).shape == (3, 32, 32)
    refused(SMALL, "10 x 10 pixels; it must have 1 to 99", ImageLimits(len(SMALL), 99))


# Damage


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_files_that_break_off(kind):
    data = FILES[kind]
    for length in range(0, len(data), 10):
        refused(data[:length], "breaks off|is not a JPEG|damaged")


@pytest.mark.slow
@given(kind=st.sampled_from(sorted(FILES)), data=st.data())
def test_any_damage_is_either_refused_or_harmless(kind, data):
    file = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(file) - 1))
        file[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        made = run(bytes(file), ImageLimits(1 << 20, 1_000_000))
    except InvalidInput:
        return
    assert np.isfinite(made).all()


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"IEND", b"PLTE"])
def test_checksums(name):
    palette = chunk(b"PLTE", bytes(30))
    file = bytearray(png(10, 10, zlib.compress(bytes(110)), palette, colour=3))
    assert run(bytes(file)).shape == (3, 32, 32)
    at = file.index(name) + 4 + struct.unpack(">I", file[file.index(name) - 4 : file.index(name)])[0]
    file[at] ^= 1
    refused(bytes(file), "a checksum is wrong")


@pytest.mark.parametrize(
    "data",
    [
        START + chunk(b"IEND"),
        START + chunk(b"IHDR", b"short") + chunk(b"IDAT", ROWS) + chunk(b"IEND"),
        png(10, 10, b""),
        png(10, 10, ROWS[:20]),
        png(10, 10, b"no zlib at all"),
        png(10, 10, ROWS, colour=3),
        png(10, 10, ROWS, colour=9),
        b"\xff\xd8\xff\xd9",
        FILES["JPEG"][:2] + FILES["JPEG"][FILES["JPEG"].index(b"\xff\xda") :],
        with_segments(segment(0xC0, b"\x08\x00\x10\x00\x10\x03")),
        with_segments(segment(0xC3, b"\x08\x00\x10\x00\x10\x03")),
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8 " + bytes(30),
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(30),
    ],
)
def test_other_damage(data):
    refused(data, "damaged|breaks off")


# Bombs


@pytest.mark.slow
def test_unpacked_data_beyond_the_image_costs_nothing():
    bomb = zlib.compress(bytes(500_000_000), 1)
    cheaply(lambda: run(png(10, 10, bomb)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [b"iCCP", b"zTXt", b"iTXt"])
def test_bombs_in_what_describes_a_png(name):
    bomb = zlib.compress(bytes(200_000_000), 9)
    head = {b"iCCP": b"p\0\0", b"zTXt": b"Raw profile type exif\0\0", b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0"}[name]
    described = png(10, 10, ROWS, chunk(name, head + bomb), after=[chunk(name, head + bomb)])
    made = cheaply(lambda: run(described))
    assert np.array_equal(made, run(SMALL))


def exif_bomb(size):
    """One directory whose entries all hold the rest of the block: Pillow makes a copy for each."""
    count = min(65_000, (size - 14) // 24)
    entries = b"".join(struct.pack("<HHII", 0x9000 + tag % 0x6000, 7, size // 2, 8) for tag in range(count))
    return (b"II*\0" + struct.pack("<IH", 8, count) + entries).ljust(size, b"\0")


@pytest.mark.slow
def test_bombs_in_exif():
    assert np.array_equal(cheaply(lambda: run(png(10, 10, ROWS, chunk(b"eXIf", exif_bomb(1 << 20))))), run(SMALL))
    parts = [segment(0xE1, b"Exif\0\0" + exif_bomb(65_000)) for _ in range(50)]
    assert np.array_equal(cheaply(lambda: run(with_segments(*parts)), bytes_=24 << 20), run(FILES["JPEG"]))


@pytest.mark.slow
@pytest.mark.parametrize("filler", [chunk(b"teXt"), chunk(b"IDAT"), chunk(b"fcTL")], ids=["text", "pixels", "frames"])
def test_chunks_without_end(filler):
    refused_file = png(10, 10, ROWS, filler * 800_000)
    cheaply(lambda: refused(refused_file, f"more than {MAX_PARTS} chunks"))


@pytest.mark.slow
def test_segments_and_marks_without_end():
    comments = with_segments(segment(0xFE, b"") * 2_000_000)
    cheaply(lambda: refused(comments, f"more than {MAX_PARTS} segments"))
    for filler in (b"\xff" * 9_000_000, b"junk" * 2_000_000, b"\xff\0" * 4_000_000):
        assert np.array_equal(
            cheaply(lambda added=filler: run(with_segments(segment(0xFE, b""), added)), bytes_=24 << 20),
            run(FILES["JPEG"]),
        )
    bare = with_segments(b"\xff\x01" * 4_000_000)
    cheaply(lambda: refused(bare, "more than"))


def test_scans_without_end():
    """Each of 42 bytes is a walk over the whole image: 10 MB of them at 25 million pixels take an hour."""
    file = FILES["JPEG-progressive"]
    last = file[file.rindex(b"\xff\xda") : -2]
    run(file[:-2] + last * 50 + file[-2:])
    refused(file[:-2] + last * MAX_SCANS + file[-2:], f"more than {MAX_SCANS} scans")


@pytest.mark.slow
def test_ten_thousand_frames():
    frame = NOISE.resize((8, 8))
    frames = [frame.rotate(90 * (index % 4)).convert("L") for index in range(10_000)]
    first = PROCESSOR(saved(frames[0], "PNG"), "", LIMITS)
    apng = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert np.array_equal(cheaply(lambda: run(apng)), first)
    webp = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:2000], lossless=True)
    assert np.array_equal(cheaply(lambda: run(webp)), first)


# Other kinds

TIFF_LIKE = ["TIFF", "GIF", "BMP", "ICO", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "AVIF", "PDF", "EPS"]


@pytest.mark.parametrize("kind", TIFF_LIKE)
def test_other_formats_that_pillow_reads(kind):
    refused(saved(NOISE, kind), "is not a JPEG, PNG or WebP file")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><svg>&b;</svg>",
        b"8BPS\0\1" + bytes(60),
        b"PK\x03\x04" + bytes(60),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b" " + FILES["PNG"],
    ],
)
def test_what_is_no_image(data):
    refused(data, "is not a JPEG, PNG or WebP file")


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("tail", [b"PK\x03\x04" * 99, b"<script>alert(1)</script>", FILES["JPEG"], FILES["PNG"]])
def test_what_follows_the_end_is_not_looked_at(kind, tail):
    assert np.array_equal(run(FILES[kind] + tail), run(FILES[kind]))


def test_messages_hold_nothing_of_the_file():
    for data in (
        b"canary-4711",
        START + b"canary-4711" * 9,
        b"\xff\xd8\xffcanary-4711",
        FILES["WEBP"][:40] + b"canary",
    ):
        assert "canary" not in refused(data)


# Threads and memory


def test_many_threads_at_once():
    expected, wrong = {kind: run(data) for kind, data in FILES.items()}, []

    def work():
        for kind, data in FILES.items():
            if not np.array_equal(run(data), expected[kind]):
                wrong.append(kind)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
