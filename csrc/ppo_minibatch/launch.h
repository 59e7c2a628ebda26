// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"
#include "mlp/layout.h"
#include "ppo_loss/ppo_loss.h"

namespace rslcore {

// What a minibatch reports.
enum MinibatchTerm { kMinibatchValue, kMinibatchSurrogate, kMinibatchEntropy, kMinibatchKl, kMinibatchTerms };

struct MinibatchModel {
    Mlp mlp;
    int64_t num_inputs;
    const MlpInput* inputs;  // groups of observations, [rows, columns] each
    const float* var;        // [width[0]], or nullptr: observations are taken as they are
    float eps;
    float* weight_gradient[kMaxMlpLayers];  // [width[l + 1], width[l]]
    float* bias_gradient[kMaxMlpLayers];    // [width[l + 1]]
    int64_t gradients_begin;                // of this model in the gradients of a chunk
    float* divisor;                         // [width[0]], scratch: sqrt(var) + eps
    float* packed;                          // [mlp_packed_size(mlp)], scratch
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
    float* gradients;        // [chunks, gradients_size]
    int64_t gradients_size;  // of both models
    double* sums;            // [chunks, 2, sums_size]
    int64_t sums_size;       // kPpoLossTerms + A
    float* workspaces;       // [chunks * 2, workspace_size]: each thread uses one of them
    int64_t workspace_size;
};

// A part of the gradients that are summed over the chunks: some rows of a layer.
struct MinibatchPiece {
    int64_t role;
    int64_t layer;
    int64_t begin;
    int64_t end;
};

RSLCORE_EACH_SIMD_LEVEL(
    // Packs layers; they are counted through both models.
    void minibatch_prepare(const MinibatchArgs& args, int64_t begin, int64_t end);
    // Unit u: chunk u / 2, model u % 2.
    void minibatch_unit(const MinibatchArgs& args, int64_t unit, float* workspace);
    void minibatch_reduce(const MinibatchArgs& args, const MinibatchPiece* pieces, int64_t begin,
                          int64_t end);)

}  // namespace rslcore
