// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The matrix that rows are multiplied with: where each gate, weight and bias stands in it.

#include <cstring>

#include "rnn/launch.h"

namespace rslcore::RSLCORE_SIMD {

// Of none, the pointers may be null.
inline void copy_floats(const float* from, int64_t n, float* to) {
    if (n > 0) {
        memcpy(to, from, sizeof(float) * static_cast<size_t>(n));
    }
}

// A block of gates and the columns of a row that they depend on.
struct RnnBlock {
    int64_t gate;     // first
    int64_t gates;    //
    int64_t column;   // first
    int64_t columns;  //
};

struct RnnBlocks {
    RnnBlock block[3];
    int count;
};

// All gates of an LSTM see the whole row. Of a GRU, n has a part of x and one of h, which r multiplies.
inline RnnBlocks blocks_of(const RnnShape& s) {
    const int64_t h = s.padded_units();
    const int64_t width = s.row_width();
    if (s.cell == RnnCell::lstm) {
        return {{{0, 4 * h, 0, width}}, 1};
    }
    return {{{0, h, h, width - h}, {h, 2 * h, 0, width}, {3 * h, h, 0, h + 1}}, 3};
}

// Where a gate of our order stands among those of torch, for each of the two weights; -1: nowhere.
inline int torch_gate(const RnnShape& s, int64_t gate, bool of_input) {
    if (s.cell == RnnCell::lstm) {
        return static_cast<int>(gate);
    }
    constexpr int kInput[] = {2, 0, 1, -1};
    constexpr int kHidden[] = {-1, 0, 1, 2};
    return of_input ? kInput[gate] : kHidden[gate];
}

// Both weights and biases as one matrix [4 H', row_stride] that rows are multiplied with.
inline void assemble(const RnnShape& s, const RnnWeights<const float>& w, float* matrix) {
    const int64_t h = s.padded_units();
    const int64_t stride = s.row_stride();
    memset(matrix, 0, sizeof(float) * static_cast<size_t>(s.gradient_size()));
    for (int64_t gate = 0; gate < RnnShape::kGates; ++gate) {
        const int input = torch_gate(s, gate, true);
        const int hidden = torch_gate(s, gate, false);
        for (int64_t u = 0; u < s.units; ++u) {
            float* row = matrix + (gate * h + u) * stride;
            if (hidden >= 0) {
                const int64_t from = hidden * s.units + u;
                copy_floats(w.hh + from * s.units, s.units, row);
                row[h] = w.bias_hh == nullptr ? 0.0f : w.bias_hh[from];
            }
            if (input >= 0) {
                const int64_t from = input * s.units + u;
                copy_floats(w.ih + from * s.inputs, s.inputs, row + s.first_input());
                row[s.last_one()] = w.bias_ih == nullptr ? 0.0f : w.bias_ih[from];
            }
        }
    }
}

// Gates through which a gradient reaches the hidden state, and those through which it reaches the input.
inline RnnBlock hidden_gates(const RnnShape& s) {
    const int64_t h = s.padded_units();
    return s.cell == RnnCell::lstm ? RnnBlock{0, 4 * h, 0, h} : RnnBlock{h, 3 * h, 0, h};
}

inline RnnBlock input_gates(const RnnShape& s) {
    const int64_t h = s.padded_units();
    return {0, s.cell == RnnCell::lstm ? 4 * h : 3 * h, s.first_input(), s.inputs};
}

}  // namespace rslcore::RSLCORE_SIMD
