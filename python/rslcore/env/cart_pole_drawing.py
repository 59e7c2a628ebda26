# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A picture of carts and poles, by distances alone: no window, no graphics driver."""

from __future__ import annotations

import numpy as np

TRACK = 2.4
"""Distance, in metres, from the middle of the track to its ends."""
POLE_LENGTH = 1.0
MARGIN = 0.25
"""Metres of picture beyond the ends of the track and above the pole."""

_BACKGROUND, _GROUND = (246, 246, 243), (170, 170, 165)
_CART, _POLE = (52, 72, 104), (203, 112, 60)


def draw(state: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draw poles one above the other.

    Args:
        state: Position (m), velocity, angle (rad) and angular velocity of each pole [P, 4].
        width: Pixels.
        height: Pixels.

    Returns:
        uint8 [height, width, 3].
    """
    image = np.empty((height, width, 3))
    image[:] = _BACKGROUND
    edges = np.linspace(0, height, len(state) + 1).round().astype(int)
    for pole, top, bottom in zip(state, edges[:-1], edges[1:], strict=True):
        _draw_strip(image[top:bottom], float(pole[0]), float(pole[2]))
    return image.round().astype(np.uint8)


def _draw_strip(image: np.ndarray, position: float, angle: float) -> None:
    height, width = image.shape[:2]
    if height == 0:
        return
    # Metres per pixel such that track and pole fit; y points up from the axle of the pole.
    scale = max(2 * (TRACK + MARGIN) / width, (POLE_LENGTH + 2 * MARGIN) / height)
    x = (np.arange(width) + 0.5 - width / 2)[None, :] * scale
    y = (height / 2 - np.arange(height) - 0.5)[:, None] * scale + POLE_LENGTH / 2
    x_cart = min(max(position, -TRACK - MARGIN), TRACK + MARGIN)
    cart = np.maximum(np.abs(x - x_cart) - 0.2, np.abs(y + 0.06) - 0.06)
    ground = np.maximum(np.abs(y + 0.13) - 0.012, np.abs(x) - TRACK)
    along_x, along_y = np.sin(angle), np.cos(angle)
    along = np.clip((x - x_cart) * along_x + y * along_y, 0.0, POLE_LENGTH)
    pole = np.hypot(x - x_cart - along * along_x, y - along * along_y) - 0.03
    for distance, colour in ((ground, _GROUND), (cart, _CART), (pole, _POLE)):
        cover = np.clip(0.5 - distance / scale, 0.0, 1.0)[..., None]  # edges fade over one pixel
        image += cover * (np.array(colour) - image)
