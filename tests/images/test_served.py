"""Rows 32 and 33 of bad inputs against a live server: images good and bad over gRPC, its memory watched."""

import io
import json
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from nearfield.v1 import embed_pb2, embed_pb2_grpc, model_pb2, model_pb2_grpc, types_pb2
from nearfield_server.encoder.images import ImageLimits, ImageProcessor

SIZE = 32
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "red": 2, "green": 3, "blue": 4}
MEBIBYTE = 1 << 20


def graph(inputs, output, nodes, table):
    made = helper.make_graph(
        nodes,
        "tower",
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(table, "table"), *(numpy_helper.from_array(np.array(a), n) for n, a in AXES.items())],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


AXES = {"tokens": [1], "pixels": [2, 3]}


@pytest.fixture(scope="session")
def towers(tmp_path_factory):
    """Two towers: a text is the mean of its words' colours, an image the mean of its pixels."""
    folder = tmp_path_factory.mktemp("towers")
    (folder / "onnx").mkdir()
    table = np.float32([[0, 0, 0], [0.1, 0.1, 0.1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])
    found = helper.make_node("Gather", ["table", "input_ids"], ["found"])
    mean = helper.make_node("ReduceMean", ["found", "tokens"], ["text_embeds"], keepdims=0)
    onnx.save(graph([ids], "text_embeds", [found, mean], table), folder / "onnx" / "text_model.onnx")
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIZE, SIZE])
    mean = helper.make_node("ReduceMean", ["pixel_values", "pixels"], ["image_embeds"], keepdims=0)
    onnx.save(graph([pixels], "image_embeds", [mean], table), folder / "onnx" / "vision_model.onnx")
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "model_type": "clip",
        "projection_dim": 3,
        "vision_config": {"image_size": SIZE, "patch_size": 8},
        "text_config": {"max_position_embeddings": 16, "vocab_size": 5},
        "max_position_embeddings": 16,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "nearfield.yaml").write_text("format: 1\nmax_tokens: 16\n")
    seen = {"image_processor_type": "CLIPImageProcessor", "size": SIZE, "crop_size": SIZE}
    (folder / "preprocessor_config.json").write_text(json.dumps(seen))
    return folder


@pytest.fixture(scope="module")
def served(start_server, towers):
    return start_server(models={"towers": str(towers), "texts": "builtin"}, limits={"max_image_bytes": MEBIBYTE})


@pytest.fixture(scope="module")
def stub(served):
    unlimited = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(served.target, options=unlimited) as channel:
        yield SimpleNamespace(
            embed=embed_pb2_grpc.EmbedServiceStub(channel), models=model_pb2_grpc.ModelServiceStub(channel)
        )


def embed(stub, *inputs, **fields):
    made = [types_pb2.Input(image=one) if isinstance(one, bytes) else types_pb2.Input(text=one) for one in inputs]
    return stub.embed.Embed(
        embed_pb2.EmbedRequest(model=fields.pop("model", "towers"), inputs=made, **fields), timeout=60
    )


def rows(reply):
    return np.frombuffer(reply.embeddings.data, "<f4").reshape(reply.embeddings.rows, -1)


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8))
GOOD = {kind: saved(NOISE, kind) for kind in ("JPEG", "PNG", "WEBP")}


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, packed, *more):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


PROGRESSIVE = saved(NOISE, "JPEG", progressive=True)
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
BAD = {
    "empty": b"",
    "text": b"a photo of a cat",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "gif": saved(NOISE, "GIF", save_all=True, append_images=[NOISE] * 9),
    "tiff": saved(NOISE, "TIFF"),
    "bmp": saved(NOISE, "BMP"),
    "psd": b"8BPS\0\1" + bytes(100),
    "png of 13,000 x 13,000 in 20 kB": png(13_000, 13_000, zlib.compress(bytes(20_000_000), 9)),
    "png that states 2^31 - 1": png(2**31 - 1, 2**31 - 1, b""),
    "png of 5,000 x 5,000 without data": png(5_000, 5_000, zlib.compress(bytes(100))),
    "png without pixels": png(0, 0, zlib.compress(b"")),
    "png with a wrong checksum": GOOD["PNG"][:-20] + bytes([GOOD["PNG"][-20] ^ 1]) + GOOD["PNG"][-19:],
    "a strip": saved(Image.new("L", (1, 1_000_000)), "PNG"),
    "900,000 bytes of empty chunks": png(4, 4, b"", chunk(b"teXt", b"") * 75_000),
    "a thousand scans": PROGRESSIVE[:-2] + LAST_SCAN * 1000 + PROGRESSIVE[-2:],
    "jpeg of 65,535 x 65,535": GOOD["JPEG"].replace(struct.pack(">HH", 60, 80), b"\xff\xff\xff\xff", 1),
    "webp of 16,777,216 x 16,777,216": b"RIFF\x28\0\0\0WEBPVP8X\x0a" + bytes(7) + b"\xff" * 40,
    "over the bytes": GOOD["PNG"] + bytes(MEBIBYTE),
    **{f"half a {kind}": data[: len(data) // 2] for kind, data in GOOD.items()},
    **{f"{kind} but its last byte": data[:-1] for kind, data in GOOD.items()},
}  # fmt: skip


@pytest.fixture(scope="module")
def expected(towers):
    processor = ImageProcessor.from_folder(towers)
    return lambda data: processor(data, "", ImageLimits(MEBIBYTE, 25_000_000)).mean((1, 2))


def test_images_among_texts(stub, expected):
    reply = embed(stub, "red green", GOOD["JPEG"], "blue", GOOD["PNG"], GOOD["WEBP"], normalize=False)
    made = rows(reply)
    assert np.allclose(made[0], [0.5, 0.5, 0])
    assert np.allclose(made[2], [0, 0, 1])
    for row, kind in zip(made[[1, 3, 4]], ("JPEG", "PNG", "WEBP"), strict=True):
        assert np.abs(row - expected(GOOD[kind])).max() < 1e-5


def test_a_model_tells_whether_it_takes_images(stub):
    limits = {}
    for name, able in (("towers", True), ("texts", False)):
        model = stub.models.GetModel(model_pb2.GetModelRequest(name=name), timeout=10).model
        assert model.accepts_images is able
        limits[name] = model.limits
    assert limits["towers"].max_image_bytes == MEBIBYTE
    assert limits["towers"].max_image_pixels == 25_000_000


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_refused_and_named(stub, what):
    with pytest.raises(grpc.RpcError) as caught:
        embed(stub, "red", GOOD["JPEG"], BAD[what])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith("inputs[2].image: ")
    assert np.isfinite(rows(embed(stub, GOOD["JPEG"]))).all()


def test_a_model_of_texts_refuses_images(stub):
    with pytest.raises(grpc.RpcError) as caught:
        embed(stub, "text", GOOD["JPEG"], model="texts")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "inputs[1].image" in caught.value.details()


def test_a_stream_answers_each_message(stub):
    options = embed_pb2.EmbedStreamOptions(model="towers", normalize=False, ordered=True)
    messages = [embed_pb2.EmbedStreamRequest(id="0", options=options, inputs=[types_pb2.Input(text="red")])]
    files = [GOOD["PNG"], BAD["gif"], GOOD["WEBP"], BAD["half a JPEG"]]
    messages += [
        embed_pb2.EmbedStreamRequest(id=str(at), inputs=[types_pb2.Input(image=one)]) for at, one in enumerate(files, 1)
    ]
    replies = {one.id: one for one in stub.embed.EmbedStream(iter(messages), timeout=60)}
    assert [replies[str(at)].WhichOneof("outcome") for at in range(5)] == [
        "result",
        "result",
        "error",
        "result",
        "error",
    ]
    assert "inputs[0].image" in replies["2"].error.message


FULL_SIZE = saved(Image.new("RGB", (5000, 5000), (3, 4, 5)), "PNG")


@pytest.mark.slow
def test_images_of_a_call_together_are_bounded_before_any_is_decoded(stub):
    started = time.perf_counter()
    with pytest.raises(grpc.RpcError) as caught:
        embed(stub, *[FULL_SIZE] * 9)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "225000000 pixels together, over 200000000" in caught.value.details()
    assert time.perf_counter() - started < 1


@pytest.mark.slow
def test_texts_never_wait_for_images(stub):
    """A call of 200 million pixels takes seconds: texts have threads of their own."""
    with ThreadPoolExecutor(2) as callers:
        calls = [callers.submit(embed, stub, *[FULL_SIZE] * 3) for _ in range(2)]
        answered = 0
        while not any(call.done() for call in calls) and answered < 20:
            embed(stub, "red", model="texts")
            answered += 1
        assert answered == 20
        for call in calls:
            assert call.result().embeddings.rows == 3


@pytest.mark.slow
def test_decoding_ends_with_the_deadline(stub):
    inputs = [types_pb2.Input(image=FULL_SIZE)] * 8
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            stub.embed.Embed(embed_pb2.EmbedRequest(model="towers", inputs=inputs), timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    started = time.perf_counter()
    embed(stub, GOOD["PNG"])
    assert time.perf_counter() - started < 10  # and not for the sixteen


@pytest.mark.slow
def test_memory_stays_bounded_and_others_are_served(stub):
    """Bombs from four callers for a while: the server answers texts beside them, and gives the memory back."""
    animated = saved(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(at % 360) for at in range(1, 50)])
    bombs = [*BAD.values(), animated, *GOOD.values()]
    process, peak, done = psutil.Process(), [0], threading.Event()

    def watch():
        while not done.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss)

    def attack(_):
        outcomes = set()
        for bomb in bombs:
            try:
                embed(stub, bomb)
                outcomes.add("OK")
            except grpc.RpcError as error:
                outcomes.add(error.code().name)
        return outcomes

    attack(0)
    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as callers:
            attacks = callers.map(attack, range(8))
            for _ in range(50):
                assert rows(embed(stub, "red", normalize=False)).tolist() == [[1, 0, 0]]
            assert set().union(*attacks) == {"OK", "INVALID_ARGUMENT"}
    finally:
        done.set()
        watcher.join()
    after = process.memory_info().rss
    print(f"{before >> 20} MiB before, {peak[0] >> 20} at the peak, {after >> 20} after")
    assert peak[0] - before < 300 * MEBIBYTE
    assert after - before < 100 * MEBIBYTE
