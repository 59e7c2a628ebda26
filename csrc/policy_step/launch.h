// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/macros.h"
#include "common/simd.h"
#include "mlp/layout.h"

namespace rslcore {

// A perceptron over observation groups: concatenated, normalized, then linear layers with an activation after
// each but the last.
struct PolicyNetwork {
    int64_t num_groups;           //
    const float* const* groups;   // each [B, widths[g]]
    const int64_t* widths;        // sizes[0] together
    const float* mean;            // [sizes[0]], or nullptr: observations as they are
    const float* var;             // [sizes[0]]
    float eps;                    // added to the standard deviation
    int64_t num_layers;           //
    const float* const* weights;  // each [sizes[l + 1], sizes[l]]
    const float* const* biases;   // each [sizes[l + 1]]
    const int64_t* sizes;         // [num_layers + 1]
    Activation activation;        //
    float* output;                // [B, sizes[num_layers]]
};

struct PolicyStepArgs {
    int64_t rows;          // B
    PolicyNetwork actor;   // its output is the mean
    PolicyNetwork critic;  // its output are the values
    const float* std;      // [A]
    uint64_t seed;         //
    uint64_t offset;       // number of the draw
    float* std_rows;       // [B, A]: `std` in every row
    float* actions;        // [B, A]
    float* log_prob;       // [B]
};

// A network is evaluated for so many rows at a time, in cache through all layers.
inline constexpr int64_t kPolicyTile = 128;

RSLCORE_HD int64_t policy_widest(const PolicyNetwork& network) {
    int64_t widest = 0;
    for (int64_t l = 0; l <= network.num_layers; ++l) {
        widest = network.sizes[l] > widest ? network.sizes[l] : widest;
    }
    return widest;
}

// Floats that the evaluation of a tile needs: two layers, feature by feature, and the normalization.
inline int64_t policy_scratch(const PolicyNetwork& network) {
    return 2 * kPolicyTile * policy_widest(network) + 2 * mlp_padded(network.sizes[0]);
}

RSLCORE_EACH_SIMD_LEVEL(
    // Rows [tile * kPolicyTile, ...) of `rows`. `scratch` has policy_scratch floats from a cache line on.
    void policy_network_tile(const PolicyNetwork& network, int64_t rows, int64_t tile, float* scratch);)

}  // namespace rslcore
