"""Write the reference images of experiments/imagefolder/testdata with Pillow.

    python -m venv VENV && VENV/bin/pip install pillow==13.0.0 numpy
    VENV/bin/python scripts/reference/resize.py

NAME.jpg or NAME.png is an input, NAME.rgb.png is what Pillow reads from it
(Image.open(...).convert("RGB")), source.HxW.png is source.png resized with
Image.BILINEAR. The kinds of JPEG that Pillow cannot write (4:4:0 chroma, YCCK)
are made by editing headers, which leaves valid files with strange colours.
"""

import io
import pathlib

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parents[2] / "experiments" / "imagefolder" / "testdata"


def picture(h, w):
    """Smooth colours, hard edges and noise: (h, w, 3) bytes."""
    y, x = np.mgrid[0:h, 0:w]
    rgb = np.stack([128 + 120 * np.sin(x / 5), 255 * y / h, 128 + 90 * np.cos((x + y) / 7)], 2)
    rgb[(x - w / 2) ** 2 + (y - h / 2) ** 2 < (h / 4) ** 2] = (250, 20, 30)
    rgb[h // 8 : h // 4, w // 8 : -w // 8] = (20, 30, 240)
    noise = np.random.default_rng(0).normal(0, 12, rgb.shape)
    return Image.fromarray(np.clip(rgb + noise, 0, 255).astype(np.uint8))


def jpeg(image, **options):
    b = io.BytesIO()
    image.save(b, "JPEG", quality=85, **options)
    return bytearray(b.getvalue())


def segment(data, marker):
    """Return the place of a marker's payload."""
    return data.index(b"\xff" + bytes([marker])) + 4


def as_440(data):
    """Turn 4:2:2 into 4:4:0 by swapping Y's sampling factors; 32 by 32 only."""
    sof = segment(data, 0xC0)
    assert data[sof + 1 : sof + 5] == b"\x00\x20\x00\x20" and data[sof + 7] == 0x21
    data[sof + 7] = 0x12
    return data


def as_ycck(data):
    """Tell the Adobe marker that a CMYK file holds YCCK."""
    adobe = segment(data, 0xEE)
    assert data[adobe : adobe + 5] == b"Adobe" and data[adobe + 11] == 0
    data[adobe + 11] = 2
    return data


def main():
    OUT.mkdir(exist_ok=True)
    odd, square = picture(37, 51), picture(32, 32)
    jpegs = {
        "444": jpeg(odd, subsampling=0),
        "422": jpeg(odd, subsampling=1),
        "420": jpeg(odd, subsampling=2),
        "440": as_440(jpeg(square, subsampling=1)),
        "tiny": jpeg(picture(5, 3), subsampling=2),
        "progressive": jpeg(odd, subsampling=2, progressive=True),
        "gray": jpeg(odd.convert("L")),
        "cmyk": jpeg(odd.convert("CMYK")),
        "ycck": as_ycck(jpeg(odd.convert("CMYK"))),
    }
    for name, data in jpegs.items():
        (OUT / f"{name}.jpg").write_bytes(data)
        Image.open(io.BytesIO(data)).convert("RGB").save(OUT / f"{name}.rgb.png")

    source = picture(37, 53)
    source.save(OUT / "source.png")
    for h, w in [(37, 53), (16, 22), (64, 91), (37, 20), (9, 53), (1, 1), (80, 7)]:
        source.resize((w, h), Image.BILINEAR).save(OUT / f"source.{h}x{w}.png")


main()
