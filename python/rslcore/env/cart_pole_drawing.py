# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""A picture of carts and poles, by distances alone: no window, no graphics driver."""

from __future__ import annotations

import functools

import numpy as np

TRACK = 2.4
"""Distance, in metres, from the middle of the track to its ends."""
POLE_LENGTH = 1.0
MARGIN = 0.25
"""Metres of picture beyond the ends of the track and above the pole."""

_BACKGROUND, _GROUND = (246, 246, 243), (170, 170, 165)
_CART, _POLE = (52, 72, 104), (203, 112, 60)
_CART_SIZE = (0.4, 0.12)
_POLE_RADIUS = 0.03


def draw(state: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draw poles one above the other.

    Args:
        state: Position (m), velocity, angle (rad) and angular velocity of each pole [P, 4].
        width: Pixels.
        height: Pixels.

    Returns:
        uint8 [height, width, 3].
    """
    image = np.empty((height, width, 3), dtype=np.uint8)
    edges = np.linspace(0, height, len(state) + 1).round().astype(int).tolist()
    for pole, top, bottom in zip(state, edges[:-1], edges[1:], strict=True):
        if bottom > top:
            _draw_strip(image[top:bottom], float(pole[0]), float(pole[2]))
    return image


def _draw_strip(image: np.ndarray, position: float, angle: float) -> None:
    """Draw one pole, uint8 [height, width, 3]: the empty track, and the rectangle that cart and pole lie in."""
    x, y, scale = _grid(*image.shape[:2])
    image[:] = _empty_track(*image.shape[:2])
    x_cart = min(max(position, -TRACK - MARGIN), TRACK + MARGIN)
    along = POLE_LENGTH * np.sin(angle), POLE_LENGTH * np.cos(angle)
    edge = _POLE_RADIUS + scale
    half = _CART_SIZE[0] / 2 + scale
    columns = _between(x, x_cart + min(along[0] - edge, -half), x_cart + max(along[0] + edge, half))
    rows = _between(-y, -max(along[1], 0.0) - edge, max(-along[1] + edge, _CART_SIZE[1] + scale))
    x, y = x[None, columns], y[rows, None]
    image[rows, columns] = _blend(scale, (_ground(x, y), _GROUND), *_cart_and_pole(x - x_cart, y, angle))


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Places of the columns and rows, in metres from the middle of the track and from the axle up; metres per pixel."""
    scale = max(2 * (TRACK + MARGIN) / width, (POLE_LENGTH + 2 * MARGIN) / height)  # track and pole fit
    x = (np.arange(width) + 0.5 - width / 2) * scale
    y = (height / 2 - np.arange(height) - 0.5) * scale + POLE_LENGTH / 2
    return x, y, scale


@functools.lru_cache(maxsize=4)
def _empty_track(height: int, width: int) -> np.ndarray:
    """The picture without cart and pole, the same in every frame."""
    x, y, scale = _grid(height, width)
    return _blend(scale, (_ground(x[None], y[:, None]), _GROUND))


def _between(ascending: np.ndarray, low: float, high: float) -> slice:
    """Where numbers are within bounds."""
    return slice(*np.searchsorted(ascending, (low, high)).tolist())


def _ground(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the track."""
    return np.maximum(np.abs(y + 0.13) - 0.012, np.abs(x) - TRACK)


def _cart_and_pole(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[tuple[np.ndarray, tuple[int, ...]], ...]:
    """Distances of each pixel to the cart, whose axle is at 0, and to its pole, with their colours."""
    wide, high = _CART_SIZE
    cart = np.maximum(np.abs(x) - wide / 2, np.abs(y + high / 2) - high / 2)
    along_x, along_y = np.sin(angle), np.cos(angle)
    along = np.clip(x * along_x + y * along_y, 0.0, POLE_LENGTH)
    pole = np.hypot(x - along * along_x, y - along * along_y) - _POLE_RADIUS
    return (cart, _CART), (pole, _POLE)


def _blend(scale: float, *shapes: tuple[np.ndarray, tuple[int, ...]]) -> np.ndarray:
    """Colour what is within each of the shapes, one over the other, uint8 [rows, columns, 3]."""
    image = np.empty((*shapes[0][0].shape, 3))
    image[:] = _BACKGROUND
    for distance, colour in shapes:
        cover = np.clip(0.5 - distance / scale, 0.0, 1.0)[..., None]  # edges fade over one pixel
        image += cover * (np.array(colour) - image)
    return image.round().astype(np.uint8)
