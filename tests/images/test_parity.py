"""The same numbers as transformers' own processors give."""

import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from transformers.image_utils import load_image
from transformers.models.bit.image_processing_bit import BitImageProcessor
from transformers.models.clip.image_processing_clip import CLIPImageProcessor
from transformers.models.convnext.image_processing_convnext import ConvNextImageProcessor
from transformers.models.deit.image_processing_deit import DeiTImageProcessor
from transformers.models.siglip.image_processing_siglip import SiglipImageProcessor
from transformers.models.vit.image_processing_vit import ViTImageProcessor

from nearfield_server.encoder.images import ImageLimits, ImageProcessor
from nearfield_server.errors import ModelLoadFailure

HERE = Path(__file__).parent
OWN = sorted([*HERE.glob("*.jpg"), *HERE.glob("*.png"), *HERE.glob("*.webp")])
LIMITS = ImageLimits(max_bytes=10 << 20, max_pixels=25_000_000)
PROCESSORS = {
    "CLIP": CLIPImageProcessor(),
    "Bit": BitImageProcessor(),
    "Siglip": SiglipImageProcessor(),
    "ViT": ViTImageProcessor(),
    "DeiT": DeiTImageProcessor(),
    "ConvNext": ConvNextImageProcessor(),
    "ConvNext-224": ConvNextImageProcessor(size={"shortest_edge": 224}, crop_pct=0.875),
    "CLIP-small": CLIPImageProcessor(size={"shortest_edge": 40}, crop_size={"height": 33, "width": 64}),
    "CLIP-odd": CLIPImageProcessor(size={"shortest_edge": 67}, crop_size=50, resample=2, do_normalize=False),
    "ViT-raw": ViTImageProcessor(size={"height": 31, "width": 47}, do_rescale=False, do_normalize=False, resample=0),
    "ViT-grey": ViTImageProcessor(image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4], rescale_factor=1 / 127.5),
}


@pytest.fixture(scope="module", params=PROCESSORS)
def processors(request, tmp_path_factory):
    """Theirs, and ours made from the file that theirs writes."""
    theirs, folder = PROCESSORS[request.param], tmp_path_factory.mktemp("model")
    theirs.save_pretrained(folder)
    return theirs, ImageProcessor.from_folder(folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    PROCESSORS["CLIP"].save_pretrained(folder)
    return ImageProcessor.from_folder(folder)


def expected(theirs, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # palettes with transparency
        image = load_image(Image.open(io.BytesIO(data)))
        return theirs(image, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]


def same(ours, theirs, data):
    made = ours(data, "image", LIMITS)
    assert made.dtype == np.float32
    assert made.shape == (3, *ours.size)
    return np.abs(made - expected(theirs, data)).max()


@pytest.mark.slow
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_own_images(processors, path):
    theirs, ours = processors
    assert same(ours, theirs, path.read_bytes()) <= 1e-5


@pytest.mark.slow
def test_photos(processors):
    folder = HERE.parents[2] / "shared" / "data" / "open" / "images"
    if not folder.is_dir():
        pytest.skip("the shared evaluation data isn't beside this clone")
    theirs, ours = processors
    worst = max(same(ours, theirs, (folder / name).read_bytes()) for name in ("china.jpg", "flower.jpg"))
    with zipfile.ZipFile(folder / "cifar10_200.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith((".png", ".jpg"))][:40]
        worst = max(worst, *(same(ours, theirs, archive.read(name)) for name in names))
    print(f"{len(names)} + 2 photos: at most {worst:.1e} off")
    assert worst <= 1e-5


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


BASE = Image.open(HERE / "gradient.jpg").convert("RGB")
DISC = Image.open(HERE / "disc.png").convert("RGBA")
SIXTEEN = Image.fromarray(np.asarray(BASE.convert("L"), np.uint16) * 257)
ORIENTED = {number: Image.Exif() for number in range(10)}
for number, exif in ORIENTED.items():
    exif[0x0112] = number
KINDS = {
    "jpeg-grey": saved(BASE.convert("L"), "JPEG"),
    "jpeg-cmyk": saved(BASE.convert("CMYK"), "JPEG"),
    "jpeg-progressive": saved(BASE, "JPEG", progressive=True, quality=95),
    "jpeg-444": saved(BASE, "JPEG", subsampling=0, quality=100, optimize=True),
    "jpeg-restarts": saved(BASE, "JPEG", restart_marker_blocks=3),
    "jpeg-described": saved(BASE, "JPEG", comment=b"c" * 3000, icc_profile=b"p" * 200_000, exif=ORIENTED[6].tobytes()),
    "png-1": saved(BASE.convert("1"), "PNG"),
    "png-L": saved(BASE.convert("L"), "PNG"),
    "png-LA": saved(DISC.convert("LA"), "PNG"),
    "png-P": saved(BASE.quantize(17), "PNG"),
    "png-P-transparent": saved(DISC.quantize(40), "PNG"),
    "png-P-index": saved(BASE.quantize(40), "PNG", transparency=3),
    "png-L-transparent": saved(BASE.convert("L"), "PNG", transparency=90),
    "png-RGB-transparent": saved(BASE, "PNG", transparency=(10, 20, 30)),
    "png-RGBA": saved(DISC, "PNG"),
    "png-I16": saved(SIXTEEN, "PNG"),
    "png-described": saved(BASE, "PNG", icc_profile=b"p" * 200_000, exif=ORIENTED[8].tobytes()),
    "png-animated": saved(DISC, "PNG", save_all=True, append_images=[DISC.rotate(90), DISC.rotate(180)]),
    "webp-lossless": saved(DISC, "WEBP", lossless=True),
    "webp-lossy": saved(BASE, "WEBP"),
    "webp-alpha": saved(DISC, "WEBP"),
    "webp-animated": saved(DISC, "WEBP", save_all=True, append_images=[DISC.rotate(90)], duration=10),
    "webp-described": saved(BASE, "WEBP", icc_profile=b"p" * 3001, exif=ORIENTED[5].tobytes()),
    "one-pixel": saved(BASE.resize((1, 1)), "PNG"),
    "wide": saved(BASE.resize((300, 12)), "PNG"),
    "tall": saved(BASE.resize((9, 200)), "PNG"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file(clip, kind):
    assert same(clip, PROCESSORS["CLIP"], KINDS[kind]) <= 1e-5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("number", ORIENTED)
def test_images_are_turned_upright(clip, kind, number):
    data = saved(BASE, kind, exif=ORIENTED[number].tobytes())
    assert same(clip, PROCESSORS["CLIP"], data) <= 1e-5


def test_orientation_in_xmp(clip):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    upright = clip(saved(BASE, "JPEG"), "image", LIMITS)
    for kind, options in (("JPEG", {"xmp": xmp}), ("WEBP", {"xmp": xmp, "lossless": True})):
        data = saved(BASE, kind, **options)
        assert same(clip, PROCESSORS["CLIP"], data) <= 1e-5
        assert np.abs(clip(data, "image", LIMITS) - upright).max() > 0.5


OLD = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3}


def written(folder, config, name="preprocessor_config.json"):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(config if isinstance(config, str) else json.dumps(config))
    return ImageProcessor.from_folder(folder)


@pytest.mark.parametrize(
    "config",
    [
        OLD,
        OLD | {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}},
        {"image_processor_type": "CLIPImageProcessor"},
        {"image_processor_type": "CLIPImageProcessorFast", "do_rescale": None},
    ],
)
def test_old_and_new_spellings(tmp_path, config):
    assert same(written(tmp_path, config), PROCESSORS["CLIP"], KINDS["webp-lossy"]) <= 1e-5


def test_other_places_of_the_file(tmp_path):
    assert ImageProcessor.from_folder(tmp_path) is None
    assert written(tmp_path, {"processor_class": "CLIPProcessor"}, "processor_config.json") is None
    assert written(tmp_path, {"image_processor": OLD}, "processor_config.json").size == (224, 224)
    (tmp_path / "processor_config.json").unlink()
    assert written(tmp_path, OLD, "0_CLIPModel/preprocessor_config.json").size == (224, 224)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("{", "JSON"),
        ("[]", "list where dict"),
        ("[" * 100_000, "JSON"),
        ({}, "image_processor_type"),
        ({"feature_extractor_type": "Wav2Vec2FeatureExtractor"}, "image_processor_type"),
        ({"image_processor_type": "Siglip2ImageProcessor"}, "image_processor_type"),
        (OLD | {"size": 0}, "size"),
        (OLD | {"size": 10**9}, "size"),
        (OLD | {"size": True}, "size"),
        (OLD | {"size": {"longest_edge": 224}}, "size"),
        (OLD | {"do_center_crop": False}, "size"),
        (OLD | {"crop_size": "224"}, "crop_size"),
        (OLD | {"crop_size": {"height": 224}}, "crop_size"),
        (OLD | {"resample": 9}, "resample"),
        (OLD | {"do_resize": "yes"}, "do_resize"),
        (OLD | {"image_mean": [0.5, 0.5]}, "image_mean"),
        (OLD | {"image_std": [0.5, 0, 0.5]}, "image_std"),
        (OLD | {"image_mean": [0.5, float("nan"), 0.5]}, "image_mean"),
        (OLD | {"rescale_factor": "1/255"}, "rescale_factor"),
        ({"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 0}, "crop_pct"),
    ],
)
def test_a_file_that_cannot_be_followed_is_named(tmp_path, config, fault):
    with pytest.raises(ModelLoadFailure, match=fault) as caught:
        written(tmp_path, config)
    assert "preprocessor_config.json" in caught.value.message
