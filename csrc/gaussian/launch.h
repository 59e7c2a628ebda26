// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <cstdint>

#include "common/simd.h"

namespace rslcore {

template <typename T>
struct GaussianArgs {
    int64_t rows;            // B
    int64_t columns;         // A
    const T* mean;           // [B, A]
    const T* std;            // [B, A], or [A] if std_rows is false
    bool std_rows;           // every row has standard deviations of its own
    const T* noise;          // [B, A] standard normal numbers, or nullptr: drawn under (seed, offset)
    uint64_t seed;           //
    uint64_t offset;         // number of the draw
    const int64_t* counter;  // [] added to `offset`, or nullptr
    T* actions;              // [B, A]
    T* log_prob;             // [B]
};

// CPU. Units of whole rows with some kGaussianTile elements in all, by shape alone.
inline constexpr int64_t kGaussianTile = 1024;

inline int64_t gaussian_unit_rows(int64_t columns) {
    return std::max<int64_t>(kGaussianTile / std::max<int64_t>(columns, 1), 1);
}

RSLCORE_EACH_SIMD_LEVEL(
    // The units [begin, end).
    template <typename T>
    void gaussian_units(const GaussianArgs<T>& args, uint64_t offset, int64_t begin, int64_t end);)

// CUDA. Returns cudaError_t.
template <typename T>
int gaussian_cuda(const GaussianArgs<T>& args, void* stream);

}  // namespace rslcore
