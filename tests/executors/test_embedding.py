from functools import partial

import numpy as np
import pyarrow.parquet as pq
import pytest
import works

from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.errors import InvalidInput
from nearfield_server.executors.base import JobFailure
from nearfield_server.executors.embedding import Done, Embedding, embed_shards
from nearfield_server.executors.encoding import EncoderHere, Fault
from nearfield_server.executors.shards import Parts, shards_of
from nearfield_server.types import DType, EmbedOptions, Truncate

TEXTS = [f"text {at}" for at in range(250)]


@pytest.fixture
def embed(local, tmp_path):
    def call(file, *, open_embedder=works.embedder_of_lengths, about=(), overwrite=False, **work):
        shards = shards_of([file], 100, ["text"])
        parts = Parts(tmp_path / "out", dict(about))
        work = Embedding(open_embedder=open_embedder, parts=parts, columns={"name": "number"}, **work)
        return embed_shards(local, work, shards, overwrite=overwrite, told=lambda _: None)

    return call


@pytest.mark.slow
def test_a_part_for_each_shard(embed, write, parts_of, tmp_path):
    file = write("a", text=TEXTS, number=list(range(250)))
    assert embed(file) == Done(250, 0, 0)
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [f"part-0000{at}.parquet" for at in range(3)]
    table = parts_of(tmp_path / "out")
    assert table.column("row").to_pylist() == table.column("name").to_pylist() == list(range(250))
    assert table.column("embedding").to_pylist() == [[len(text), 1] for text in TEXTS]


@pytest.mark.slow
def test_a_second_run_does_only_what_is_missing(embed, write, tmp_path):
    file = write("a", text=TEXTS, number=list(range(250)))
    embed(file)
    (tmp_path / "out" / "part-00001.parquet").unlink()
    before = (tmp_path / "out" / "part-00000.parquet").stat().st_mtime_ns
    assert embed(file) == Done(100, 0, 150)
    assert (tmp_path / "out" / "part-00000.parquet").stat().st_mtime_ns == before
    with pytest.raises(JobFailure, match="by other options"):
        embed(file, about={"model": "other"})
    assert embed(file, about={"model": "other"}, overwrite=True) == Done(250, 0, 0)


@pytest.mark.slow
def test_the_shard_of_a_killed_worker_is_embedded_again(embed, write, parts_of, tmp_path):
    file = write("a", text=TEXTS, number=list(range(250)))
    assert embed(file, open_embedder=partial(works.embedder_that_dies, str(tmp_path))) == Done(250, 0, 0)
    assert (tmp_path / "died").exists()
    assert parts_of(tmp_path / "out").column("row").to_pylist() == list(range(250))


@pytest.mark.slow
def test_a_bad_row_ends_the_job_or_is_left_out(embed, write, parts_of, tmp_path):
    texts = [*TEXTS]
    texts[120], texts[130] = "far too long for it", None
    file = write("a", text=texts, number=list(range(250)))
    with pytest.raises(JobFailure, match=r"row 130 of all: column 'text' is null; --on-error skip"):
        embed(file)
    assert not (tmp_path / "out" / "part-00001.parquet").exists()
    assert embed(file, skip_bad_rows=True).failed == 2
    assert parts_of(tmp_path / "out").column("row").to_pylist() == [at for at in range(250) if at not in {120, 130}]
    assert (tmp_path / "out" / "part-00001.errors.jsonl").read_text().splitlines() == [
        '{"row": 120, "code": "INVALID_ARGUMENT", "message": "is too long"}',
        '{"row": 130, "code": "INVALID_INPUT", "message": "column \'text\' is null"}',
    ]


@pytest.mark.slow
def test_a_shard_of_nothing_but_bad_rows(embed, write, tmp_path):
    assert embed(write("a", text=["x" * 11, None], number=[1, 2]), skip_bad_rows=True) == Done(0, 2, 0)
    assert pq.read_table(tmp_path / "out" / "part-00000.parquet").num_rows == 0


def here(**options):
    return EncoderHere("builtin", builtin_folder(), EmbedOptions(**options), device="cpu")()


@pytest.mark.slow
def test_the_encoder_in_the_worker_gives_the_vectors_of_the_server(client, golden):
    texts = golden.texts[:60]
    rows = np.stack(list(here().embed(texts)))
    np.testing.assert_allclose(rows, client.embed(texts), atol=1e-5)
    small = np.stack(list(here(dtype=DType.INT8, dimensions=64).embed(texts)))
    served = client.embed(texts, output_dtype="int8", dimensions=64)
    assert small.dtype == np.int8
    assert np.abs(small.astype(int) - served.astype(int)).max() <= 1


@pytest.mark.slow
def test_a_text_that_is_too_long_is_the_fault_of_its_row_alone():
    first, second, third = here(truncate=Truncate.NONE).embed(["a", "word " * 5000, "b"])
    assert isinstance(second, Fault)
    assert second.code == "INVALID_ARGUMENT"
    assert first.shape == third.shape == (384,)


@pytest.mark.slow
def test_options_that_the_model_can_not_do_are_refused():
    with pytest.raises(InvalidInput, match="dimensions"):
        here(dimensions=1000)
