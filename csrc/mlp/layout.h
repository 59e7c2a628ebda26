// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// Sizes of the buffers of a multilayer perceptron, in floats. They are the same at every SIMD level, so that
// whoever allocates need not know which one runs.

#include <cstdint>

#include "common/activation.h"

namespace rslcore {

// Floats of a cache line, and of the widest register.
inline constexpr int64_t kMlpLine = 16;

[[gnu::always_inline]] constexpr int64_t mlp_padded(int64_t columns) {
    return (columns + kMlpLine - 1) / kMlpLine * kMlpLine;
}

// Distance of the rows of a tile with so many columns: whole cache lines, an odd number of them, so that the
// rows of a column spread over all sets of a cache.
[[gnu::always_inline]] constexpr int64_t mlp_stride(int64_t columns) {
    return (((columns + kMlpLine - 1) / kMlpLine) | 1) * kMlpLine;
}

// A matrix [depth, columns] packed for gemm (mlp/gemm.h).
[[gnu::always_inline]] constexpr int64_t mlp_packed_size(int64_t depth, int64_t columns) {
    return depth * mlp_padded(columns);
}

inline constexpr int64_t kMaxMlpLayers = 16;

// A chain of linear layers with an activation behind each: y = f(x W^T + b).
struct Mlp {
    int64_t layers;
    int64_t width[kMaxMlpLayers + 1];    // columns of the input, then of each layer's output
    const float* weight[kMaxMlpLayers];  // [width[l + 1], width[l]]
    const float* bias[kMaxMlpLayers];    // [width[l + 1]], or nullptr: none
    Activation activation;               // behind all layers but the last
    Activation last_activation;
    bool backward;        // gradients of the parameters will be asked for
    bool input_gradient;  // and that of the input

    constexpr Activation activation_of(int64_t layer) const {
        return layer + 1 < layers ? activation : last_activation;
    }
    // Whether f' of the layer is not 1 everywhere, and kept for backward.
    constexpr bool keeps_derivative(int64_t layer) const {
        return backward && activation_of(layer) != Activation::identity;
    }
};

// One group of observations, columns of the input side by side.
struct MlpInput {
    const float* data;     // [rows, columns]
    int64_t stride;        // of its rows
    int64_t columns;       //
    const float* mean;     // [columns], or nullptr: taken as it is
    const float* divisor;  // [columns], standard deviation + eps; x is (data - mean) / divisor
};

// Where the parts of a layer lie in the packed parameters.
struct MlpPacked {
    int64_t bias;    // [width[l + 1]], zeros beyond
    int64_t weight;  // transpose packed, for forward
    int64_t back;    // packed, for backward; nothing if no gradient passes to the layer's input
    int64_t end;
};
[[gnu::always_inline]] constexpr MlpPacked mlp_packed(const Mlp& mlp, int64_t layer) {
    MlpPacked place{};
    for (int64_t l = 0; l <= layer; ++l) {
        const int64_t in = mlp.width[l];
        const int64_t out = mlp.width[l + 1];
        const bool back = mlp.backward && (l > 0 || mlp.input_gradient);
        place.bias = place.end;
        place.weight = place.bias + mlp_padded(out);
        place.back = place.weight + mlp_packed_size(in, out);
        place.end = place.back + (back ? mlp_packed_size(out, in) : 0);
    }
    return place;
}
[[gnu::always_inline]] constexpr int64_t mlp_packed_size(const Mlp& mlp) {
    return mlp_packed(mlp, mlp.layers - 1).end;
}

// Where the gradients of a layer lie in a buffer of gradients.
struct MlpGradient {
    int64_t weight;  // [width[l + 1], width[l]], rows mlp_stride(width[l]) apart
    int64_t bias;    // [width[l + 1]]
    int64_t end;
};
[[gnu::always_inline]] constexpr MlpGradient mlp_gradient(const Mlp& mlp, int64_t layer) {
    MlpGradient place{};
    for (int64_t l = 0; l <= layer; ++l) {
        place.weight = place.end;
        place.bias = place.weight + mlp.width[l + 1] * mlp_stride(mlp.width[l]);
        place.end = place.bias + mlp_padded(mlp.width[l + 1]);
    }
    return place;
}
[[gnu::always_inline]] constexpr int64_t mlp_gradient_size(const Mlp& mlp) {
    return mlp_gradient(mlp, mlp.layers - 1).end;
}

// Floats per row of a tile: input, outputs and derivatives of all layers; without backward, input and two
// outputs in turn.
[[gnu::always_inline]] constexpr int64_t mlp_workspace_row(const Mlp& mlp) {
    int64_t all = 0;
    int64_t widest = 0;
    for (int64_t l = 0; l < mlp.layers; ++l) {
        const int64_t stride = mlp_stride(mlp.width[l + 1]);
        all += stride + (mlp.keeps_derivative(l) ? stride : 0);
        widest = widest > stride ? widest : stride;
    }
    return mlp_stride(mlp.width[0]) + (mlp.backward ? all : 2 * widest);
}
[[gnu::always_inline]] constexpr int64_t mlp_workspace_size(const Mlp& mlp, int64_t tile_rows) {
    return tile_rows * mlp_workspace_row(mlp);
}

// Rows of a tile, so that its workspace takes about half of a second-level cache of 1 MB: a multiple of what
// the kernels take at a time at every SIMD level.
inline constexpr int64_t kMlpRowStep = 24;
[[gnu::always_inline]] constexpr int64_t mlp_tile_rows(const Mlp& mlp) {
    constexpr int64_t kFloats = 128 * 1024;
    constexpr int64_t kMostRows = 192;
    const int64_t rows = kFloats / mlp_workspace_row(mlp) / kMlpRowStep * kMlpRowStep;
    return rows < kMlpRowStep ? kMlpRowStep : rows > kMostRows ? kMostRows : rows;
}

// Most chunks that rows are cut into, as each has a buffer of so many gradients: sixteen, or fewer where
// these would take more than 64 MB, but four at least. Layers without outputs have no gradients.
[[gnu::always_inline]] constexpr int64_t mlp_most_chunks(int64_t gradients) {
    const int64_t most = 16 * 1024 * 1024 / (gradients > 0 ? gradients : 1);
    return most < 4 ? 4 : most > 16 ? 16 : most;
}

// Rows of a chunk: what one thread takes at a time, with a buffer of gradients of its own. Chosen by the
// shape alone: four chunks at least, of some tiles each where there are rows enough.
[[gnu::always_inline]] constexpr int64_t mlp_chunk_rows(const Mlp& mlp, int64_t rows) {
    const int64_t most = mlp_most_chunks(mlp_gradient_size(mlp));
    const int64_t wanted = rows / (4 * mlp_tile_rows(mlp));
    const int64_t chunks = wanted < 4 ? 4 : wanted > most ? most : wanted;
    const int64_t share = (rows + chunks - 1) / chunks;
    return (share + kMlpRowStep - 1) / kMlpRowStep * kMlpRowStep;
}

}  // namespace rslcore
