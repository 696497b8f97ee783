"""Dense vectors are those of sentence-transformers, alone, in mixed batches and streamed."""

import numpy as np
import pytest
from foreign import unwarned

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4
NAMES = [
    "bert-mean",
    "bert-cls",
    "bert-max",
    "roberta",
    "xlm-roberta",
    "mpnet",
    "distilbert",
    "modernbert",
    "e5",
    "nomic",
    "gte-dense",
    "decoder",
]


@pytest.fixture(scope="session")
def reference(zoo, texts):
    """Give the vectors of sentence-transformers, each text alone: `reference(model, prompt_name)`."""
    known = {}

    def rows(name, prompt_name=None):
        if (name, prompt_name) not in known:
            with unwarned():
                from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds

                model = SentenceTransformer(str(zoo[name]), device="cpu", local_files_only=True)
                known[name, prompt_name] = model.encode(texts, batch_size=1, prompt_name=prompt_name)
        return known[name, prompt_name]

    return rows


def worst(rows, expected, texts):
    differences = np.abs(rows - expected).max(axis=1)
    at = int(differences.argmax())
    print(f"greatest difference {differences[at]:.1e} at {texts[at][:40]!r}")
    return differences[at]


@pytest.mark.parametrize("name", NAMES)
def test_alone_in_a_mixed_batch_and_streamed(served, reference, texts, name):
    expected = reference(name)
    together = served.client.embed(texts, model=name)
    alone = np.array([served.client.embed(text, model=name) for text in texts])
    streamed = np.empty_like(together)
    for result in served.client.embed_stream(texts, model=name):
        streamed[result.index] = result.embedding
    for rows in (together, alone, streamed):
        assert worst(rows, expected, texts) <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_random_weights_tell_texts_apart(reference, name):
    rows = reference(name)[:75]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(75, 1)]
    assert np.median(cosines) < 0.98, "the vectors are too alike for a mistake to show"


@pytest.mark.parametrize("name", ["e5", "nomic", "decoder"])
def test_each_prompt_of_the_model(served, reference, texts, name):
    (model,) = [one for one in served.client.models() if one.name == name]
    assert model.prompts
    for prompt_name in model.prompts:
        rows = served.client.embed(texts, model=name, prompt_name=prompt_name)
        assert worst(rows, reference(name, prompt_name), texts) <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "input_type", "prompt_name"),
    [
        ("e5", "query", "query"),
        ("e5", "document", "passage"),
        ("nomic", "document", "document"),
        ("nomic", "clustering", "clustering"),
        ("nomic", "classification", "classification"),
        ("decoder", "query", "query"),
    ],
)
def test_what_a_text_is_for_chooses_the_prompt(served, reference, texts, name, input_type, prompt_name):
    rows = served.client.embed(texts, model=name, input_type=input_type)
    assert worst(rows, reference(name, prompt_name), texts) <= TOLERANCE


@pytest.mark.parametrize("name", ["nomic", "gte-dense"])
@pytest.mark.parametrize("width", [8, 23])
def test_the_first_components_made_unit_length_again(served, reference, texts, name, width):
    expected = reference(name)[:, :width]
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    rows = served.client.embed(texts, model=name, dimensions=width)
    assert worst(rows, expected, texts) <= TOLERANCE


def test_tokens_are_those_of_transformers(served, zoo, texts):
    with unwarned():
        from transformers import AutoTokenizer  # noqa: PLC0415 - seconds
    for name in NAMES:
        expected = AutoTokenizer.from_pretrained(zoo[name])(texts)["input_ids"]
        assert [list(one.ids) for one in served.client.tokenize(texts, model=name)] == expected, name
