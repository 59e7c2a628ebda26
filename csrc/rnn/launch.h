// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/parallel.h"
#include "common/simd.h"
#include "mlp/layout.h"

namespace rslcore {

enum class RnnCell { lstm, gru };

// Sizes of a recurrent layer, and the layout of what it saves for its gradient.
//
// The environments are cut into chunks, by shape alone; each has gradient sums of its own. A chunk goes
// through all steps with a tile of environments at a time, whose rows
//
//     [ h entering the step (padded to H') | 1 | x | 1 ]
//
// are multiplied by one matrix that holds both weights and both biases.
struct RnnShape {
    RnnCell cell;
    int64_t steps;   // T
    int64_t envs;    // N
    int64_t inputs;  // D
    int64_t units;   // H

    static constexpr int64_t kGates = 4;  // blocks of H': i, f, g, o; or n (of x), r, z, n (of h)
    static constexpr int64_t kChunkEnvs =
        32;                                 // a chunk has at least as many environments, if there are so many
    static constexpr int64_t kChunks = 16;  // and there are no more chunks than this
    static constexpr int64_t kTileEnvs = 64;

    int64_t padded_units() const { return mlp_padded(units); }
    int64_t row_width() const { return padded_units() + inputs + 2; }
    int64_t row_stride() const { return mlp_stride(row_width()); }
    int64_t gate_width() const { return kGates * padded_units(); }
    int64_t gate_stride() const { return mlp_stride(gate_width()); }
    int64_t state_stride() const { return mlp_stride(padded_units()); }
    int64_t first_input() const { return padded_units() + 1; }  // column of x
    int64_t last_one() const { return row_width() - 1; }        // column of the 1 behind x

    int64_t chunks() const {
        const int64_t most = ceil_div(envs, kChunkEnvs);
        return most < kChunks ? most : kChunks;
    }
    int64_t chunk_envs() const { return chunks() == 0 ? 0 : ceil_div(envs, chunks()); }

    // Floats that one environment has saved: rows and cells before each step and after the last, gates of
    // each.
    int64_t saved_per_env() const {
        const int64_t cells = cell == RnnCell::lstm ? state_stride() : 0;
        return (steps + 1) * (row_stride() + cells) + steps * gate_stride();
    }
    // Gradient of the matrix [4 H'][row_stride], as every chunk sums it.
    int64_t gradient_size() const { return gate_width() * row_stride(); }
};

// Weights and their gradients as torch.nn.LSTM and torch.nn.GRU have them: G = 4 or 3 gates.
template <typename T>
struct RnnWeights {
    T* ih;       // [G H, D]
    T* hh;       // [G H, H]
    T* bias_ih;  // [G H], or nullptr
    T* bias_hh;  // [G H], or nullptr
};

struct RnnArgs {
    RnnShape shape;
    const float* x;        // [T, N, D]
    const uint8_t* dones;  // [T, N]
    const float* h_0;      // [N, H]
    const float* c_0;      // [N, H], LSTM
    const float* packed;   // by rnn_pack
    float* output;         // [T, N, H]
    float* h_n;            // [N, H]
    float* c_n;            // [N, H], LSTM
    float* saved;          // [N, saved_per_env], or nullptr: no gradient will be asked for
};

struct RnnGradientArgs {
    RnnShape shape;
    const uint8_t* dones;
    const float* grad_output;  // [T, N, H]
    const float* grad_h_n;     // [N, H]
    const float* grad_c_n;     // [N, H], LSTM
    const float* saved;
    const float* packed;  // by rnn_pack_backward
    float* grad_x;        // [T, N, D], or nullptr
    float* grad_h_0;      // [N, H]
    float* grad_c_0;      // [N, H], LSTM
    float* sums;          // [chunks, gradient_size], written
};

RSLCORE_EACH_SIMD_LEVEL(
    // Floats of packed weights, for the step and for its gradient.
    void rnn_packed_sizes(const RnnShape& shape, int64_t* forward, int64_t* backward);
    // `matrix` is room for [4 H', row_stride].
    void rnn_pack(const RnnShape& shape, const RnnWeights<const float>& weights, float* matrix,
                  float* packed);
    void rnn_pack_backward(const RnnShape& shape, const RnnWeights<const float>& weights, bool with_inputs,
                           float* matrix, float* packed);
    // The chunks [begin, end). `scratch` has the floats of rnn_scratch_sizes; each thread has its own.
    void rnn_scratch_sizes(const RnnShape& shape, int64_t* forward, int64_t* backward);
    void rnn_chunks(const RnnArgs& args, float* scratch, int64_t begin, int64_t end);
    void rnn_gradient_chunks(const RnnGradientArgs& args, float* scratch, int64_t begin, int64_t end);
    // Rows [begin, end) of the 4 H' gates: sums the chunks in their order.
    void rnn_sum_gradients(const RnnShape& shape, const float* sums, const RnnWeights<float>& gradients,
                           int64_t begin, int64_t end);)

}  // namespace rslcore
