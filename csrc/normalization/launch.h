// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "common/simd.h"

namespace rslcore {

inline constexpr int64_t kNoUntil = std::numeric_limits<int64_t>::max();

template <typename T>
struct MomentsArgs {
    int64_t rows;     // B
    int64_t columns;  // F
    const T* x;       // [B, F]
    T* mean;          // [F], updated
    T* var;           // [F], updated
    int64_t* count;   // [], updated
    int64_t until;    // nothing changes once *count has reached it; kNoUntil: never
};

template <typename T>
struct NormalizeArgs {
    int64_t rows;     // B
    int64_t columns;  // F
    const T* x;       // [B, F]
    const T* mean;    // [F]
    const T* var;     // [F]
    T eps;            //
    T* out;           // [B, F], may be x
};

// CPU. [B, F] is cut into units of `chunk` rows by `tile` columns, by shape alone. Several narrow rows are
// folded into one of up to kNormalizationWidth elements, so that a single column is vectorized as well.
inline constexpr int64_t kNormalizationWidth = 512;
inline constexpr int64_t kNormalizationGroup = 8;  // (folded) rows that are summed at a time

struct NormalizationCut {
    int64_t tile;    // columns of a unit
    int64_t tiles;   //
    int64_t fold;    // rows that are read as one; 1 if a row has several tiles
    int64_t chunk;   // rows of a unit, a multiple of `fold`
    int64_t chunks;  //

    int64_t units() const { return chunks * tiles; }
    int64_t partials(int64_t columns) const { return 2 * chunks * columns; }
};

inline NormalizationCut normalization_cut(int64_t rows, int64_t columns) {
    constexpr int64_t kUnit = 32 * 1024;  // elements worth a unit of their own
    constexpr int64_t kMaxUnits = 256;    // bounds the partial sums, unless one chunk needs more
    const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
    NormalizationCut cut{};
    cut.tiles = ceil_div(columns, kNormalizationWidth);
    cut.tile = ceil_div(columns, cut.tiles);
    cut.fold =
        cut.tiles > 1 ? 1 : std::clamp<int64_t>(rows / kNormalizationGroup, 1, kNormalizationWidth / columns);
    const int64_t max_chunks = std::max<int64_t>(kMaxUnits / cut.tiles, 1);
    const int64_t chunk = std::max(ceil_div(kUnit, cut.tile), ceil_div(rows, max_chunks));
    cut.chunk = ceil_div(chunk, cut.fold) * cut.fold;
    cut.chunks = ceil_div(rows, cut.chunk);
    return cut;
}

RSLCORE_EACH_SIMD_LEVEL(
    // Sums of the units [begin, end) about the first row of x, into partials [chunks, 2, F].
    template <typename T> void moments_sums(const MomentsArgs<T>& args, const NormalizationCut& cut,
                                            double* partials, int64_t begin, int64_t end);

    // Mean and variance of the tiles [begin, end) from all chunks' sums, in chunk order.
    template <typename T> void moments_merge(const MomentsArgs<T>& args, const NormalizationCut& cut,
                                             const double* partials, int64_t begin, int64_t end);

    // The units [begin, end) of the normalized samples.
    template <typename T> void normalize_units(const NormalizeArgs<T>& args, const NormalizationCut& cut,
                                               int64_t begin, int64_t end);

    template <typename T>
    void discounted_return(const T* rewards, T* running, T gamma, int64_t begin, int64_t end);)

// CUDA. update_moments_cuda needs a scratch of moments_scratch_doubles(...) float64. All return cudaError_t.
int64_t moments_scratch_doubles(int64_t rows, int64_t columns);
template <typename T>
int update_moments_cuda(const MomentsArgs<T>& args, double* scratch, void* stream);
template <typename T>
int normalize_cuda(const NormalizeArgs<T>& args, void* stream);
template <typename T>
int discounted_return_cuda(const T* rewards, T* running, T gamma, int64_t numel, void* stream);

}  // namespace rslcore
