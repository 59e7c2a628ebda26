// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <cstdint>

#include "common/activation.h"
#include "common/simd.h"

namespace rslcore {

template <typename T>
struct BiasActivationArgs {
    int64_t rows;           // B
    int64_t columns;        // F
    Activation activation;  //
    const T* x;             // [B, F]
    const T* bias;          // [F]
    T* y;                   // [B, F], f(x + bias); forward only
    // Backward only.
    const T* y_gradient;  // [B, F]
    T* x_gradient;        // [B, F]
    T* bias_gradient;     // [F], the sum of x_gradient over the rows
};

// CPU. Chunks of rows, by shape alone.
inline int64_t bias_activation_chunk(int64_t rows, int64_t columns) {
    constexpr int64_t kElements = 16 * 1024;
    constexpr int64_t kMaxChunks = 64;  // bounds the partial sums
    return std::max(
        {kElements / std::max<int64_t>(columns, 1), (rows + kMaxChunks - 1) / kMaxChunks, int64_t{1}});
}

RSLCORE_EACH_SIMD_LEVEL(
    // The chunks [begin, end) of `chunk` rows.
    template <typename T>
    void bias_activation_chunks(const BiasActivationArgs<T>& args, int64_t chunk, int64_t begin, int64_t end);
    // The sums of chunk c go to sums + c * F.
    template <typename T>
    void bias_activation_backward_chunks(const BiasActivationArgs<T>& args, int64_t chunk, double* sums,
                                         int64_t begin, int64_t end);)

// CUDA. Backward needs a scratch of bias_activation_scratch_doubles(...) float64. Both return cudaError_t.
template <typename T>
int bias_activation_cuda(const BiasActivationArgs<T>& args, void* stream);
int64_t bias_activation_scratch_doubles(int64_t rows, int64_t columns);
template <typename T>
int bias_activation_backward_cuda(const BiasActivationArgs<T>& args, double* scratch, void* stream);

}  // namespace rslcore
