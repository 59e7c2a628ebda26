# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""The job that every trainer does: its shapes, its hyper-parameters, its floating-point operations. Loads nothing."""

from __future__ import annotations

import dataclasses

NUM_STEPS = 24
"""Steps per rollout (T)."""
NUM_EPOCHS = 5
NUM_MINI_BATCHES = 4
GRADIENT_STEPS = NUM_EPOCHS * NUM_MINI_BATCHES
"""Gradient steps per iteration."""
NUM_ACTIONS = 12
NUM_OBSERVATIONS = 48
IMAGE = (1, 64, 64)
"""Channels, height, width of the images of shape V."""
CONVOLUTIONS = ((16, 8, 4), (32, 4, 2))
"""Channels, kernel and stride of the convolutions of shape V, without padding."""

GAMMA, LAM = 0.99, 0.95
CLIP = 0.2
LEARNING_RATE, DESIRED_KL = 1e-3, 0.01
VALUE_LOSS_COEF, ENTROPY_COEF = 1.0, 0.01
MAX_GRAD_NORM = 1.0


@dataclasses.dataclass(frozen=True)
class Shape:
    """One size of the job."""

    name: str
    num_envs: int
    hidden: tuple[int, ...]
    """Widths of the perceptron, of actor and critic alike."""
    rnn: int | None = None
    """Width of the LSTM before the perceptron."""
    images: bool = False
    """Observations are images, seen by convolutions before the perceptron, and not normalized."""
    iterations: int = 10
    """Timed iterations of every trainer, unless told otherwise."""

    @property
    def samples(self) -> int:
        """Transitions of one rollout."""
        return NUM_STEPS * self.num_envs

    @property
    def rows(self) -> int:
        """Samples of one minibatch."""
        return self.samples // NUM_MINI_BATCHES

    @property
    def observation(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return IMAGE if self.images else (NUM_OBSERVATIONS,)

    def products(self, outputs: int) -> list[tuple[int, bool]]:
        """Multiply-adds per sample of every layer of one model, and whether the layer hands a gradient to its input."""
        layers: list[tuple[int, bool]] = []
        width = NUM_OBSERVATIONS
        if self.images:
            channels, side = IMAGE[0], IMAGE[1]
            for output, kernel, stride in CONVOLUTIONS:
                side = (side - kernel) // stride + 1
                layers.append((side * side * output * channels * kernel * kernel, bool(layers)))
                channels = output
            width = channels * side * side
        if self.rnn is not None:
            layers += [(4 * self.rnn * width, bool(layers)), (4 * self.rnn * self.rnn, True)]
            width = self.rnn
        for output in (*self.hidden, outputs):
            layers.append((width * output, bool(layers)))
            width = output
        return layers

    def flops(self) -> dict[str, int]:
        """Floating-point operations of the matrix products in one iteration, by phase.

        A multiply-add counts two; forward one product, backward two more, one where the input needs no gradient.
        Values of the last observation are left out, and so is everything that is no matrix product.
        """
        layers = self.products(NUM_ACTIONS) + self.products(1)
        forward = 2 * sum(size for size, _ in layers)
        backward = 2 * sum(size * (2 if inner else 1) for size, inner in layers)
        return {"rollout": forward * self.samples, "update": (forward + backward) * self.samples * NUM_EPOCHS}


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("XS", 64, (64, 64), iterations=60),
        Shape("M", 1_024, (128, 128, 128), iterations=12),
        Shape("S", 4_096, (512, 256, 128), iterations=3),
        Shape("R", 1_024, (128, 128, 128), rnn=256, iterations=4),
        Shape("V", 256, (128,), images=True, iterations=4),
    )
}
