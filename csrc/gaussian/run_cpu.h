// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/parallel.h"
#include "gaussian/launch.h"

namespace rslcore {

// The operator on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads: torch's pool
// or rslcore::parallel_for.
template <typename T, typename Parallel>
void gaussian_cpu(const GaussianArgs<T>& args, const Parallel& parallel) {
    if (args.rows == 0) {
        return;
    }
    const uint64_t offset =
        args.offset + (args.counter == nullptr ? 0 : static_cast<uint64_t>(*args.counter));
    const int64_t rows = gaussian_unit_rows(args.columns);
    // A random number costs about as much as four elements that are only read and written.
    parallel(
        ceil_div(args.rows, rows), grain_units(4 * rows * args.columns),
        [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(gaussian_units<T>, args, offset, begin, end); });
}

}  // namespace rslcore
