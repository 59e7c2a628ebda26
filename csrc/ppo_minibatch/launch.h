// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"
#include "mlp/layout.h"
#include "ppo_loss/ppo_loss.h"

namespace rslcore {

inline constexpr int64_t kMinibatchMostLayers = 64;
inline constexpr int64_t kMinibatchTerms = 4;

// One linear layer, z = x W^T + b.
struct MinibatchLayer {
    int64_t in;
    int64_t out;
    const float* weight;     // [out, in]
    const float* bias;       // [out]
    float* weight_gradient;  // [out, in]
    float* bias_gradient;    // [out]
    // Scratch, of mlp/layout.h's sizes: the weights packed for the way there and back (not in the first
    // layer), and the padded bias.
    float* packed;
    float* packed_back;
    float* padded_bias;
    int64_t gradient_offset;  // of this layer in a chunk's gradients: [out][mlp_padded(in)], then
                              // [mlp_padded(out)]
};

struct MinibatchGroup {
    int64_t width;
    const float* data;  // [rows, width]
};

struct MinibatchModel {
    int64_t groups;
    const MinibatchGroup* group;
    const float* mean;  // [in] or nullptr: observations are taken as they are
    const float* var;   // [in]
    float eps;
    float* inverse_std;  // [in], scratch: 1 / (sqrt(var) + eps)
    Activation activation;
    int64_t layers;
    MinibatchLayer* layer;
    int64_t gradient_size;    // floats of a chunk's gradients
    int64_t gradient_offset;  // of this model among them
};

enum MinibatchRole { kMinibatchActor, kMinibatchCritic, kMinibatchRoles };

struct MinibatchArgs {
    int64_t rows;     // b
    int64_t actions;  // A
    MinibatchModel model[kMinibatchRoles];
    const float* std;           // [A]
    const float* action;        // [b, A]
    const float* old_log_prob;  // [b]
    const float* advantages;    // [b]
    const float* old_values;    // [b]
    const float* returns;       // [b]
    const float* old_mean;      // [b, A]
    const float* old_std;       // [b, A]
    PpoLossSettings<float> settings;
    // How the rows are cut, by shape alone.
    int64_t tile_rows;
    int64_t chunk_rows;  // a multiple of tile_rows
    int64_t chunks;
    // Scratch.
    float* gradients;        // [chunks, gradient_size of both models]
    int64_t gradients_size;  // of both
    double* sums;            // [chunks, 2, sums_size]
    int64_t sums_size;       // kPpoLossTerms + A
    float* tiles;            // [chunks * 2, tile_size]: a thread uses the first that it works on
    int64_t tile_size;
};

// Floats of a tile's buffers for a model.
inline int64_t minibatch_tile_floats(const MinibatchModel& model, int64_t rows) {
    int64_t columns = mlp_stride(model.layer[0].in);
    for (int64_t l = 0; l < model.layers; ++l) {
        columns += 2 * mlp_stride(model.layer[l].out);
    }
    return rows * (columns + 1);
}

// Pieces of the gradients that are summed over the chunks: whole rows of a layer's weights.
struct MinibatchPiece {
    const MinibatchModel* model;
    const MinibatchLayer* layer;
    int64_t begin;
    int64_t end;
};

RSLCORE_EACH_SIMD_LEVEL(
    // Packs the layer `unit` of both models' layers, one behind the other.
    void minibatch_prepare(const MinibatchArgs& args, int64_t begin, int64_t end);
    // Unit u: chunk u / 2, model u % 2.
    void minibatch_units(const MinibatchArgs& args, int64_t begin, int64_t end);
    void minibatch_reduce(const MinibatchArgs& args, const MinibatchPiece* pieces, int64_t begin,
                          int64_t end);)

}  // namespace rslcore
