"""CLIP: vectors of texts and images are those of transformers' CLIPModel on what its CLIPProcessor makes of them."""

import io

import numpy as np
import pytest
from foreign import unwarned
from PIL import Image as Picture

from nearfield import Image

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4
NAMES = ["clip", "clip-towers"]
SHAPES = [(32, 32), (33, 47), (200, 31), (31, 200), (640, 480), (1, 1), (5, 3), (32, 500)]
LABELS = ["a photo of a cat", "a photo of a dog", "noise"]


@pytest.fixture(scope="session")
def pictures(shared_data):
    """Photos, and noise of all shapes and modes, as files: (bytes, picture)."""
    noise = np.random.default_rng(5)
    files = [(shared_data / "images" / name).read_bytes() for name in ("china.jpg", "flower.jpg")]
    formats = [("RGB", "PNG"), ("RGB", "JPEG"), ("L", "PNG"), ("RGB", "WEBP")]
    for index, (width, height) in enumerate(SHAPES):
        mode, kind = formats[index % len(formats)]
        shape = (height, width) if mode == "L" else (height, width, 3)
        buffer = io.BytesIO()
        Picture.fromarray(noise.integers(0, 256, shape, np.uint8), mode=None).save(buffer, kind)
        files.append(buffer.getvalue())
    return [(data, Picture.open(io.BytesIO(data))) for data in files]


@pytest.fixture(scope="session", params=NAMES)
def clip(zoo, request):
    """Give CLIPModel's vectors, each input alone: `.images(pictures)`, `.texts(texts)`; and `.odds(picture, texts)`."""
    with unwarned():
        import torch  # noqa: PLC0415 - seconds
        from transformers import (  # noqa: PLC0415
            CLIPImageProcessor,
            CLIPModel,
            CLIPProcessor,
            CLIPTokenizerFast,
        )

        model = CLIPModel.from_pretrained(zoo[request.param]).eval()
        # The images' by Pillow, as CLIP's was made; the texts' by tokenizer.json.
        sight, words = (kind.from_pretrained(zoo[request.param]) for kind in (CLIPImageProcessor, CLIPTokenizerFast))
        processor = CLIPProcessor(sight, words)

    class Reference:
        name = request.param

        @torch.no_grad()
        def images(self, pictures):
            # Told where the colours are: of an image of 1 x 1 it can't be seen.
            seen = (
                processor(images=one.convert("RGB"), return_tensors="pt", input_data_format="channels_last")
                for one in pictures
            )
            return np.concatenate([model.get_image_features(**one).numpy() for one in seen])

        @torch.no_grad()
        def texts(self, texts):
            seen = (processor.tokenizer(one, truncation=True, return_tensors="pt") for one in texts)
            return np.concatenate([model.get_text_features(**one).numpy() for one in seen])

        @torch.no_grad()
        def odds(self, picture, texts):
            seen = processor(
                text=texts,
                images=picture.convert("RGB"),
                padding=True,
                return_tensors="pt",
                input_data_format="channels_last",
            )
            return model(**seen).logits_per_image.softmax(dim=1)[0].tolist()

    return Reference()


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_texts(served, clip, texts):
    expected = unit(clip.texts(texts))
    together = served.client.embed(texts, model=clip.name, normalize=True)
    alone = np.array([served.client.embed(text, model=clip.name, normalize=True) for text in texts])
    for rows in (together, alone):
        print(f"greatest difference {np.abs(rows - expected).max():.1e}")
        assert np.abs(rows - expected).max() <= TOLERANCE


def test_images_alone_among_others_and_streamed(served, clip, pictures):
    expected = unit(clip.images([picture for _, picture in pictures]))
    inputs = [Image(data) for data, _ in pictures]
    together = served.client.embed(inputs, model=clip.name, normalize=True)
    alone = np.array([served.client.embed(one, model=clip.name, normalize=True) for one in inputs])
    streamed = np.empty_like(together)
    for result in served.client.embed_stream(inputs, model=clip.name, normalize=True):
        streamed[result.index] = result.embedding
    for rows in (together, alone, streamed):
        print(f"greatest difference {np.abs(rows - expected).max():.1e}")
        assert np.abs(rows - expected).max() <= TOLERANCE


def test_images_and_texts_in_one_call(served, clip, pictures, texts):
    chosen = texts[:6]
    inputs = [one for pair in zip((Image(data) for data, _ in pictures), chosen, strict=False) for one in pair]
    images = unit(clip.images([picture for _, picture in pictures[:6]]))
    rows = served.client.embed(inputs, model=clip.name, normalize=True)
    assert np.abs(rows[0::2] - images).max() <= TOLERANCE
    assert np.abs(rows[1::2] - unit(clip.texts(chosen))).max() <= TOLERANCE


@pytest.mark.parametrize("clip", ["clip-towers"], indirect=True)
def test_vectors_as_the_towers_give_them(served, clip, pictures, texts):
    images = clip.images([picture for _, picture in pictures])
    rows = served.client.embed([Image(data) for data, _ in pictures], model="clip-towers", normalize=False)
    assert np.abs(rows - images).max() <= TOLERANCE * np.abs(images).max()
    words = clip.texts(texts)
    rows = served.client.embed(texts, model="clip-towers", normalize=False)
    assert np.abs(rows - words).max() <= TOLERANCE * np.abs(words).max()


def test_images_by_labels_of_the_request(served, clip, pictures):
    found = served.client.classify([Image(data) for data, _ in pictures], model=clip.name, labels=LABELS)
    for (_, picture), scores in zip(pictures, found, strict=True):
        expected = dict(zip(LABELS, clip.odds(picture, LABELS), strict=True))
        assert {one.label: one.score for one in scores} == pytest.approx(expected, abs=1e-3)


def test_what_the_models_are_said_to_give(states):
    for name in NAMES:
        assert states[name].accepts_images
        assert states[name].outputs == ("dense",)
        assert (states[name].dimensions, states[name].max_tokens) == (24, 40)
    assert not states["bert-mean"].accepts_images
