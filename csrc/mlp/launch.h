// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"
#include "mlp/layout.h"

namespace rslcore {

struct MlpArgs {
    Mlp mlp;
    int64_t rows;    // B
    const float* x;  // [B, width[0]]
    float* packed;   // scratch, mlp_packed_size(mlp) floats
    float* y;        // [B, width[layers]]; forward only
    // Backward only.
    const float* y_gradient;                // [B, width[layers]]
    float* x_gradient;                      // [B, width[0]] if mlp.input_gradient
    float* chunk_gradients;                 // scratch, mlp_gradient_size(mlp) floats per chunk
    float* weight_gradient[kMaxMlpLayers];  // [width[l + 1], width[l]]
    float* bias_gradient[kMaxMlpLayers];    // [width[l + 1]]
};

RSLCORE_EACH_SIMD_LEVEL(
    // Packs the layers [begin, end).
    void mlp_pack_layers(const MlpArgs& args, int64_t begin, int64_t end);
    // The chunks [begin, end) of mlp_chunk_rows rows; `workspace` has mlp_workspace_size floats for a tile.
    void mlp_forward_chunks(const MlpArgs& args, float* workspace, int64_t begin, int64_t end);
    void mlp_backward_chunks(const MlpArgs& args, float* workspace, int64_t begin, int64_t end);
    // Sums the gradients of all chunks, in their order, for the outputs [begin, end) of all layers counted
    // through.
    void mlp_sum_gradients(const MlpArgs& args, int64_t chunks, int64_t begin, int64_t end);)

}  // namespace rslcore
