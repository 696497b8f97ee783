"""Draw the three small images beside this file: `python tests/images/make_images.py`."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

HERE = Path(__file__).parent


def gradient(width, height):
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [255 * columns / width, 255 * rows / height, 127 + 127 * np.sin(columns / 7) * np.cos(rows / 11)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def disc(width, height):
    image = gradient(width, height).convert("RGBA")
    drawing = ImageDraw.Draw(image)
    drawing.ellipse([width // 8, height // 8, width // 2, height // 2], fill=(220, 40, 30, 120))
    drawing.line([0, height, width, 0], fill=(0, 0, 0, 0), width=5)
    return image


def main():
    gradient(160, 120).save(HERE / "gradient.jpg", quality=85)
    disc(90, 130).save(HERE / "disc.png", optimize=True)
    disc(128, 64).save(HERE / "disc.webp", quality=80)


if __name__ == "__main__":
    main()
