// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// Sizes of the buffers of a multilayer perceptron, in floats. They are the same at every SIMD level, so that
// whoever allocates need not know which one runs.

#include <cstdint>

#include "common/parallel.h"

namespace rslcore {

// Element-wise functions of torch's modules with their default settings (mlp/activation.h). The numbers are
// those of rslcore.ops.mlp.
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

// Floats of a cache line, and of the widest register.
inline constexpr int64_t kMlpLine = 16;

constexpr int64_t mlp_padded(int64_t columns) {
    return (columns + kMlpLine - 1) / kMlpLine * kMlpLine;
}

// Distance of the rows of a tile with so many columns: whole cache lines, an odd number of them, so that the
// rows of a column spread over all sets of a cache.
constexpr int64_t mlp_stride(int64_t columns) {
    return (((columns + kMlpLine - 1) / kMlpLine) | 1) * kMlpLine;
}

// A matrix [depth, columns] packed for gemm.
constexpr int64_t mlp_packed_size(int64_t depth, int64_t columns) {
    return depth * mlp_padded(columns);
}

}  // namespace rslcore
