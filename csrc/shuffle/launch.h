// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/simd.h"

namespace rslcore {

// One field of shuffle_rows: rows of `row_bytes` bytes, contiguous.
struct ShuffleField {
    const unsigned char* source;  // [B, row_bytes]
    unsigned char* target;        // [n, row_bytes]
    int64_t row_bytes;
};

// CPU.
RSLCORE_EACH_SIMD_LEVEL(
    // out[begin..end-1] of the permutation of 0..n-1 under (seed, offset); any cut gives the same integers.
    void permutation_range(int64_t n, uint64_t seed, uint64_t offset, int64_t* out, int64_t begin,
                           int64_t end);

    // Sets `outside` if any of index[begin..end-1] is not in 0..rows-1.
    void shuffle_find_outside(const int64_t* index, int64_t rows, int64_t begin, int64_t end, bool& outside);

    // Row index[i] of every field becomes row i of its target, i in begin..end-1; the index has been checked.
    void shuffle_rows_range(const ShuffleField* fields, int64_t num_fields, const int64_t* index,
                            int64_t begin, int64_t end);)

// CUDA. Return cudaError_t.

// `counter`: on the device, added to `offset`; or nullptr.
int permutation_cuda(int64_t n, uint64_t seed, uint64_t offset, const int64_t* counter, int64_t* out,
                     void* stream);

// Rows outside 0..rows-1 are skipped: their targets stay as they were.
int shuffle_rows_cuda(const ShuffleField* fields, int64_t num_fields, const int64_t* index, int64_t n,
                      int64_t rows, void* stream);

}  // namespace rslcore
