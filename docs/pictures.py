"""Pictures of the documentation, made small."""

import numpy as np
from PIL import Image

_COLORS = 96
_EXACT = 16
"""So many of the most frequent colors are kept whatever they look like: grounds differ by a hair."""
_STEP = 8
"""Of the others, those that differ by less in every part look alike."""


def small(picture: Image.Image) -> Image.Image:
    """Keep a picture's most frequent colors and of the others one of a kind, and give every other the nearest of them: lines keep their hues, and files are small."""
    pixels = np.asarray(picture.convert("RGB")).astype(np.int64)
    codes, place, counts = np.unique(pixels @ (65536, 256, 1), return_inverse=True, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    order = np.argsort(-counts, kind="stable")
    _, first, cell = np.unique(colors[order] // _STEP, axis=0, return_index=True, return_inverse=True)
    often = np.bincount(cell.ravel(), weights=counts[order])
    kinds = order[first[np.argsort(-often, kind="stable")]]
    kept = colors[list(dict.fromkeys([*order[:_EXACT], *kinds]))[:_COLORS]]
    nearest = ((colors[:, None] - kept) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
    found = Image.fromarray(nearest[place].reshape(pixels.shape[:2]), mode="P")
    found.putpalette(kept.astype(np.uint8).ravel().tolist())
    return found
