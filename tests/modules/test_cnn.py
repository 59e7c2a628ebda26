# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import pytest
import rsl_rl.modules
import torch

from rslcore.modules import CNN, image_to_float

SETTINGS = [
    {},
    {"kernel_size": [5, 3], "stride": [2, 1]},
    {"kernel_size": (3, 2), "dilation": [2, 1], "stride": 2},
    *({"padding": padding, "stride": [1, 2]} for padding in ("zeros", "reflect", "replicate", "circular")),
    {"padding": "zeros", "kernel_size": [4, 5], "stride": [3, 2], "dilation": [1, 2]},
    *({"norm": norm} for norm in ("batch", "layer", ["layer", "none"])),
    {"norm": "layer", "padding": "zeros", "stride": 2, "max_pool": True},
    {"max_pool": True, "activation": "relu"},
    {"max_pool": [False, True], "padding": "replicate"},
    *({"global_pool": pool, "flatten": flatten} for pool in ("max", "avg") for flatten in (False, True)),
    {"flatten": False, "max_pool": True},
]


def make(cnn_class, size=(13, 18), **settings):
    """An encoder with the same initial weights every time."""
    torch.manual_seed(0)
    return cnn_class(
        **{"input_dim": size, "input_channels": 2, "output_channels": [4, 3], "kernel_size": 3, **settings}
    )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_equals_the_oracle(settings):
    """Law: same seed, same layers, names, sizes, outputs and gradients as rsl-rl-lib, for every setting."""
    ours, oracle = make(CNN, **settings), make(rsl_rl.modules.CNN, **settings)
    assert list(ours.state_dict()) == list(oracle.state_dict())
    assert [type(layer) for layer in ours] == [type(layer) for layer in oracle]
    assert ours.output_channels == oracle.output_channels and ours.output_dim == oracle.output_dim
    x = torch.rand(5, 2, 13, 18)
    y, expected = ours(x), oracle(x)
    assert torch.equal(y, expected)
    size = (5, ours.output_dim) if ours.output_channels is None else (5, ours.output_channels, *ours.output_dim)
    assert y.shape == size
    for output in (y, expected):
        output.square().sum().backward()
    torch.testing.assert_close([p.grad for p in ours.parameters()], [p.grad for p in oracle.parameters()])
    torch.testing.assert_close(list(ours.buffers()), list(oracle.buffers()))


@pytest.mark.parametrize("padding", ["none", "zeros", "replicate"])
def test_sizes_are_those_of_the_output(padding):
    """Law: `output_dim` is the shape of the output, for all small kernels, strides, dilations and images."""
    for kernel, stride, dilation, pool in (
        (k, s, d, p) for k in (1, 3, 4) for s in (1, 2, 3) for d in (1, 2) for p in (0, 1)
    ):
        for size in ((9, 10), (12, 11)):
            cnn = CNN(size, 1, [2], kernel, stride, dilation, padding, max_pool=bool(pool), flatten=False)
            output = cnn(torch.zeros(1, 1, *size))
            assert output.shape[2:] == cnn.output_dim
            if padding != "none" and not pool:
                assert all(out >= side // stride for out, side in zip(cnn.output_dim, size, strict=True))


def test_initialization():
    """Law: init_weights draws as rsl-rl-lib does, and sets the biases to zero."""
    ours, oracle = make(CNN), make(rsl_rl.modules.CNN)
    for cnn in (ours, oracle):
        torch.manual_seed(5)
        cnn.init_weights()
    assert torch.equal(ours[0].weight, oracle[0].weight) and not ours[2].bias.any()


def test_images_become_float():
    """Law: uint8 is scaled to 0..1; other dtypes keep their values, and float32 is not copied."""
    image = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(image_to_float(image), torch.tensor([0.0, 0.2, 1.0]))
    depth = torch.tensor([0, 2000], dtype=torch.int16)
    torch.testing.assert_close(image_to_float(depth), torch.tensor([0.0, 2000.0]))
    floats = torch.rand(3)
    assert image_to_float(floats) is floats


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"padding": "zeroes"}, "CNN: `padding` 'zeroes' is unknown; did you mean 'zeros'"),
        ({"norm": ["batch", "leyer"]}, "CNN: `norm` 'leyer' is unknown; did you mean 'layer'"),
        ({"global_pool": "mean"}, "CNN: `global_pool` 'mean' is unknown; valid: none, max, avg"),
        ({"activation": "rellu"}, "'rellu' is unknown; did you mean 'relu'"),
        ({"stride": [1, 2, 3]}, r"CNN: `stride` must be one value, or one for each of 2 layers, got \[1, 2, 3\]"),
        ({"kernel_size": 0}, "CNN: `kernel_size` must be an integer and at least 1, got 0"),
        ({"output_channels": 8}, "CNN: `output_channels` must be a sequence of integers, one per layer, got 8"),
        ({"output_channels": [8, 0]}, r"`output_channels\[1\]` must be an integer and at least 1, got 0"),
        (
            {"kernel_size": [3, 12]},
            "`kernel_size` 12 .dilation 1. must fit into the input of layer 1, got 11x16 pixels",
        ),
    ],
)
def test_clear_errors(settings, message):
    """Law: each wrong setting is one line that names it."""
    with pytest.raises(ValueError, match=message):
        make(CNN, **settings)
