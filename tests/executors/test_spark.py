"""The recipe for Spark, without Spark: it is a function of Arrow batches."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

import nearfield

PAGE = (Path(__file__).parents[2] / "docs" / "spark.md").read_text("utf-8")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def recipe(server):
    (code,) = blocks("python")
    names = {"__name__": "recipe"}
    exec(compile(code.replace("localhost:50051", server.target), "spark.md", "exec"), names)
    return names


def test_what_needs_spark_is_python():
    (code,) = blocks("python no-run")
    compile(code, "spark.md", "exec")


@pytest.mark.slow
def test_batches_get_vectors_and_bad_rows_an_error(recipe, client):
    texts = ["a dog barks", None, "a hound bays", "x" * 300_000]
    batch = pa.record_batch({"text": texts, "id": [1, 2, 3, 4]})
    first, second = recipe["embedded"]([batch, batch.slice(0, 1)])
    assert first.schema.names == second.schema.names == ["text", "id", "embedding", "error"]
    assert first.column("id").to_pylist() == [1, 2, 3, 4]
    vectors, errors = first.column("embedding").to_pylist(), first.column("error").to_pylist()
    assert vectors[0] == pytest.approx(client.embed(["a dog barks"])[0].tolist(), abs=1e-5)
    assert [one is None for one in vectors] == [False, True, False, True]
    assert errors[:3] == [None, "no text", None]
    assert "262144" in errors[3]


def test_a_server_that_is_away_fails_the_task(recipe, monkeypatch):
    monkeypatch.setitem(recipe, "TARGET", "127.0.0.1:1")
    monkeypatch.setattr(nearfield, "Client", lambda target: Away())
    with pytest.raises(nearfield.Unavailable):
        list(recipe["embedded"]([pa.record_batch({"text": ["a"]})]))


class Away:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def embed_stream(self, texts, **options):
        assert options["ordered"]
        for index, _ in enumerate(texts):
            yield nearfield.StreamResult(index=index, error=nearfield.Unavailable("away"))
