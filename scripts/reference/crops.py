"""Writes bridge/torch/testdata/crops.json: windows of a photo as torchvision scales them.

The photo is given by the formula below, which photo_test.go repeats, so that
the file holds results alone. Float images, since torchvision rounds bytes.

  python scripts/reference/crops.py      (torch 2.11, torchvision 0.26)
"""

import json
import pathlib

import torch
from torchvision.transforms.v2 import functional as F

H, W, SIDE = 37, 53, 16
WINDOWS = [  # top, left, height, width, flip
    (0, 0, 37, 53, False),  # all of it, made smaller
    (10, 18, 16, 16, True),  # the size that is wanted
    (5, 7, 9, 11, False),  # made larger
    (3, 20, 30, 8, True),  # smaller one way, larger the other
    (36, 0, 1, 53, False),  # one row
]

c, y, x = torch.meshgrid(torch.arange(3), torch.arange(H), torch.arange(W), indexing="ij")
photo = ((c * 83 + y * y * 7 + x * 13 + (x * y) % 29 * 5) % 256).float() / 255

torch.set_num_threads(1)
crops = []
for top, left, h, w, flip in WINDOWS:
    out = F.resized_crop(photo, top, left, h, w, [SIDE, SIDE], antialias=True)
    if flip:
        out = F.horizontal_flip(out)
    crops.append({"window": {"Top": top, "Left": left, "H": h, "W": w, "Flip": flip},
                  "pixels": [round(v, 6) for v in out.flatten().tolist()]})
path = pathlib.Path(__file__).parents[2] / "bridge/torch/testdata/crops.json"
path.write_text(json.dumps({"h": H, "w": W, "side": SIDE, "crops": crops}) + "\n")
