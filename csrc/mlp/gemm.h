// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// Products of small float32 matrices that lie in cache: the part of a dense network that costs the time.
//
//   gemm         c[m][n] = start[m][n] + sum over k of a[m][k] * b[k][n], b packed in panels
//   gemm_outer   c[m][n] += sum over k of a[k][m] * b[k][n], nothing packed: gradients of weights
//
// Both keep the sums of kGemmRows rows and two registers of columns in registers and go through the depth
// once. Every row of `c` (and of `start`, and of gemm_outer's `b`) has room for its columns rounded up to
// whole registers: what lies there is read and overwritten, but touches no other column. A sum is formed in
// the order of k whatever the number of rows and columns, so no row of a result depends on the rows beside
// it. Strides are in elements; mlp/layout.h gives strides and sizes that suit.

#include <cstdint>
#include <utility>

#include "common/macros.h"
#include "mlp/layout.h"
#include "mlp/vector.h"

namespace rslcore::RSLCORE_SIMD {

#if defined(__AVX512F__)
inline constexpr int kGemmRows = 12;  // 24 of 32 registers hold sums
#elif defined(__AVX2__)
inline constexpr int kGemmRows = 6;  // 12 of 16
#elif defined(__aarch64__)
inline constexpr int kGemmRows = 8;  // 16 of 32
#else
inline constexpr int kGemmRows = 4;  // 8 of 16; products without FMA take some
#endif
inline constexpr int64_t kGemmColumns = 2 * kVectorLanes;

// What the sums start from: element [m][n] is data[m * stride + n]. A bias has stride 0.
struct GemmStart {
    const float* data = nullptr;  // nullptr: zero
    int64_t stride = 0;
};

// An epilogue turns a register of sums, those of row m and of the columns from n on, into what is stored.
struct GemmStore {
    Vector operator()(int64_t, int64_t, Vector sum) const { return sum; }
};

namespace gemm_detail {

// Loops over the sums are unrolled by force: as loops, GCC sends all sums through the stack on their way into
// registers and out again.
template <int kRows, int kVectors, bool kOuter>
[[gnu::noinline]] void block(int64_t depth, const float* a, int64_t lda, const float* b, int64_t ldb,
                             GemmStart start, float* c, int64_t ldc) {
    Vector sum[kRows][kVectors] = {};
    if (start.data != nullptr) {
#pragma GCC unroll 16
        for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; ++v) {
                sum[m][v] = vector_load(start.data + m * start.stride + v * kVectorLanes);
            }
        }
    }
    const int64_t row_stride = kOuter ? 1 : lda;
    for (int64_t k = 0; k < depth; ++k) {
        Vector column[kVectors];
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
            column[v] = vector_load(b + v * kVectorLanes);
        }
#pragma GCC unroll 16
        for (int m = 0; m < kRows; ++m) {
            const Vector element = vector_set(a[m * row_stride]);
#pragma GCC unroll 2
            for (int v = 0; v < kVectors; ++v) {
                sum[m][v] = vector_fma(element, column[v], sum[m][v]);
            }
        }
        a += kOuter ? lda : 1;
        b += ldb;
    }
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) {
            vector_store(c + m * ldc + v * kVectorLanes, sum[m][v]);
        }
    }
}

using Block = void (*)(int64_t, const float*, int64_t, const float*, int64_t, GemmStart, float*, int64_t);

struct Blocks {
    Block of[2][2][kGemmRows];  // [outer][registers - 1][rows - 1]
};

template <int... kLess>
constexpr Blocks blocks(std::integer_sequence<int, kLess...>) {
    return {{{{block<kLess + 1, 1, false>...}, {block<kLess + 1, 2, false>...}},
             {{block<kLess + 1, 1, true>...}, {block<kLess + 1, 2, true>...}}}};
}

inline constexpr Blocks kBlocks = blocks(std::make_integer_sequence<int, kGemmRows>{});

// Registers of the panel that begins at column n: a last panel of half the width or less has one.
inline int64_t panel_registers(int64_t columns, int64_t n) {
    return columns - n > kVectorLanes ? 2 : 1;
}

}  // namespace gemm_detail

// Packs b[k][n] = from[k * stride + n], [depth, columns], into `to` (mlp_packed_size floats): panels of two
// registers of columns, each panel's rows one behind the other, zeros beyond the last column.
inline void pack_b(int64_t depth, int64_t columns, const float* from, int64_t stride, float* to) {
    for (int64_t n = 0; n < columns; n += kGemmColumns) {
        const int64_t width = gemm_detail::panel_registers(columns, n) * kVectorLanes;
        const int64_t filled = smaller(width, columns - n);
        for (int64_t k = 0; k < depth; ++k) {
            for (int64_t i = 0; i < filled; ++i) {
                to[i] = from[k * stride + n + i];
            }
            for (int64_t i = filled; i < width; ++i) {
                to[i] = 0.0f;
            }
            to += width;
        }
    }
}

// Packs the transpose, b[k][n] = from[n * stride + k]: the weights [out, in] of a torch.nn.Linear, depth =
// in, columns = out.
inline void pack_b_transposed(int64_t depth, int64_t columns, const float* from, int64_t stride, float* to) {
    for (int64_t n = 0; n < columns; n += kGemmColumns) {
        const int64_t width = gemm_detail::panel_registers(columns, n) * kVectorLanes;
        const int64_t filled = smaller(width, columns - n);
        for (int64_t i = 0; i < filled; ++i) {
            for (int64_t k = 0; k < depth; ++k) {
                to[k * width + i] = from[(n + i) * stride + k];
            }
        }
        for (int64_t i = filled; i < width; ++i) {
            for (int64_t k = 0; k < depth; ++k) {
                to[k * width + i] = 0.0f;
            }
        }
        to += depth * width;
    }
}

// c[m][n] = epilogue(m, n, start[m][n] + sum over k of a[m][k] * b[k][n]); `start` may be `c` itself.
template <typename Epilogue = GemmStore>
void gemm(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t lda, const float* packed_b,
          GemmStart start, float* c, int64_t ldc, const Epilogue& epilogue = {}) {
    for (int64_t n = 0; n < columns; n += kGemmColumns) {
        const int64_t registers = gemm_detail::panel_registers(columns, n);
        const int64_t width = registers * kVectorLanes;
        for (int64_t m = 0; m < rows; m += kGemmRows) {
            const int64_t count = smaller(kGemmRows, rows - m);
            GemmStart from = start;
            if (from.data != nullptr) {
                from.data += m * start.stride + n;
            }
            float* to = c + m * ldc + n;
            gemm_detail::kBlocks.of[0][registers - 1][count - 1](depth, a + m * lda, lda, packed_b, width,
                                                                 from, to, ldc);
            if constexpr (!__is_same(Epilogue, GemmStore)) {
                for (int64_t i = 0; i < count; ++i) {
                    for (int64_t j = 0; j < width; j += kVectorLanes) {
                        float* place = to + i * ldc + j;
                        vector_store(place, epilogue(m + i, n + j, vector_load(place)));
                    }
                }
            }
        }
        packed_b += depth * width;
    }
}

// c[m][n] += sum over k of a[k][m] * b[k][n].
inline void gemm_outer(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t lda,
                       const float* b, int64_t ldb, float* c, int64_t ldc) {
    for (int64_t n = 0; n < columns; n += kGemmColumns) {
        const int64_t registers = gemm_detail::panel_registers(columns, n);
        for (int64_t m = 0; m < rows; m += kGemmRows) {
            const int64_t count = smaller(kGemmRows, rows - m);
            float* to = c + m * ldc + n;
            // The sums so far of the next block: in a large network they have left the second-level cache.
            const int64_t next = smaller(kGemmRows, rows - m - count);
            for (int64_t i = 0; i < next; ++i) {
                __builtin_prefetch(to + (kGemmRows + i) * ldc, 1);
                __builtin_prefetch(to + (kGemmRows + i) * ldc + (kGemmColumns - 1), 1);
            }
            gemm_detail::kBlocks.of[1][registers - 1][count - 1](depth, a + m, lda, b + n, ldb, {to, ldc}, to,
                                                                 ldc);
        }
    }
}

}  // namespace rslcore::RSLCORE_SIMD
