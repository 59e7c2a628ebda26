// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "adam/adam.h"
#include "common/simd.h"

namespace rslcore {

template <typename T>
struct AdamTensor {
    int64_t numel;
    int64_t group;             // whose gradients are limited together
    T* param;                  //
    T* grad;                   // multiplied by the group's coefficient, unless that is 1
    T* exp_avg;                //
    T* exp_avg_sq;             //
    float* step;               // steps taken so far
    AdamSettings<T> settings;  // of the coming step
};

// A part of one tensor. How tensors are cut follows from their sizes alone.
inline constexpr int64_t kAdamChunk = 8 * 1024;
struct AdamChunk {
    int64_t tensor;
    int64_t begin;
    int64_t end;
};

RSLCORE_EACH_SIMD_LEVEL(
    // sums[c]: the sum of squares of the gradients of chunk c, for the chunks [begin, end).
    template <typename T> void adam_squares(const AdamTensor<T>* tensors, const AdamChunk* chunks,
                                            double* sums, int64_t begin, int64_t end);

    // The step of the chunks [begin, end), with gradients times the coefficient of their group.
    template <typename T> void adam_steps(const AdamTensor<T>* tensors, const AdamChunk* chunks,
                                          const T* coefficients, int64_t begin, int64_t end);)

}  // namespace rslcore
