// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

namespace rslcore {

// The activations of torch's modules with their default settings, by the numbers of
// rslcore/ops/_activations.py.
enum class Activation : int32_t {
    identity,
    elu,  // of torch.nn.CELU too
    selu,
    relu,
    leaky_relu,
    tanh,
    sigmoid,
    softplus,
    gelu,
    swish,
    mish,
};
inline constexpr int64_t kActivations = 11;

}  // namespace rslcore
