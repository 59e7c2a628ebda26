// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "adam/adam.h"
#include "adam/launch.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

constexpr int kLanes = 64;  // sums side by side: one addition waits for the one before

template <typename T>
double squares(const T* __restrict grad, int64_t n) {
    T lanes[kLanes] = {};
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (int lane = 0; lane < kLanes; ++lane) {
            lanes[lane] += grad[i + lane] * grad[i + lane];
        }
    }
    for (int lane = 0; i + lane < n; ++lane) {
        lanes[lane] += grad[i + lane] * grad[i + lane];
    }
    double sum = 0.0;
    for (int lane = 0; lane < kLanes; ++lane) {
        sum += static_cast<double>(lanes[lane]);
    }
    return sum;
}

template <bool kClipped, typename T>
void step(T* __restrict param, T* __restrict grad, T* __restrict exp_avg, T* __restrict exp_avg_sq, int64_t n,
          T coefficient, AdamSettings<T> settings) {
    for (int64_t i = 0; i < n; ++i) {
        T g = grad[i];
        if constexpr (kClipped) {
            g *= coefficient;
            grad[i] = g;
        }
        const AdamElement<T> next = adam_step(param[i], g, exp_avg[i], exp_avg_sq[i], settings);
        param[i] = next.param;
        exp_avg[i] = next.exp_avg;
        exp_avg_sq[i] = next.exp_avg_sq;
    }
}

}  // namespace

template <typename T>
void adam_squares(const AdamTensor<T>* tensors, const AdamChunk* chunks, double* sums, int64_t begin,
                  int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
        sums[c] = squares(tensors[chunks[c].tensor].grad + chunks[c].begin, chunks[c].end - chunks[c].begin);
    }
}

template <typename T>
void adam_steps(const AdamTensor<T>* tensors, const AdamChunk* chunks, const T* coefficients, int64_t begin,
                int64_t end) {
    for (int64_t c = begin; c < end; ++c) {
        const AdamTensor<T>& x = tensors[chunks[c].tensor];
        const int64_t first = chunks[c].begin;
        const int64_t n = chunks[c].end - first;
        const T coefficient = coefficients[x.group];
        const auto run = coefficient == T(1) ? step<false, T> : step<true, T>;
        run(x.param + first, x.grad + first, x.exp_avg + first, x.exp_avg_sq + first, n, coefficient,
            x.settings);
    }
}

template void adam_squares<float>(const AdamTensor<float>*, const AdamChunk*, double*, int64_t, int64_t);
template void adam_squares<double>(const AdamTensor<double>*, const AdamChunk*, double*, int64_t, int64_t);
template void adam_steps<float>(const AdamTensor<float>*, const AdamChunk*, const float*, int64_t, int64_t);
template void adam_steps<double>(const AdamTensor<double>*, const AdamChunk*, const double*, int64_t,
                                 int64_t);

}  // namespace rslcore::RSLCORE_SIMD
