// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <atomic>

#include "common/parallel.h"
#include "shuffle/launch.h"

namespace rslcore {

// The whole operators on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads:
// torch's pool or rslcore::parallel_for.

template <typename Parallel>
void permutation_cpu(int64_t n, uint64_t seed, uint64_t offset, int64_t* out, const Parallel& parallel) {
    if (n == 0) {
        return;
    }
    parallel(n, grain_units(1), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(permutation_range, n, seed, offset, out, begin, end);
    });
}

// Position of the first index outside 0..rows-1, or -1 and then every field has been shuffled; nothing is
// written otherwise.
template <typename Parallel>
int64_t shuffle_rows_cpu(const ShuffleField* fields, int64_t num_fields, const int64_t* index, int64_t n,
                         int64_t rows, const Parallel& parallel) {
    if (n == 0) {
        return -1;
    }
    std::atomic<bool> outside{false};
    parallel(n, grain_units(1), [&](int64_t begin, int64_t end) {
        bool found = false;
        RSLCORE_SIMD_CALL(shuffle_find_outside, index, rows, begin, end, found);
        if (found) {
            outside = true;
        }
    });
    if (outside) {
        for (int64_t i = 0; i < n; ++i) {
            if (index[i] < 0 || index[i] >= rows) {
                return i;
            }
        }
    }
    int64_t row_bytes = 0;
    for (int64_t i = 0; i < num_fields; ++i) {
        row_bytes += fields[i].row_bytes;
    }
    parallel(n, grain_units(row_bytes / 4), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(shuffle_rows_range, fields, num_fields, index, begin, end);
    });
    return -1;
}

}  // namespace rslcore
