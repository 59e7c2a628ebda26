// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <memory>

#include "bias_activation/launch.h"
#include "common/parallel.h"

namespace rslcore {

// The operators on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads.
template <typename T, typename Parallel>
void bias_activation_cpu(const BiasActivationArgs<T>& args, const Parallel& parallel) {
    const int64_t chunk = bias_activation_chunk(args.rows, args.columns);
    parallel(ceil_div(args.rows, chunk), grain_units(8 * chunk * args.columns),
             [&](int64_t begin, int64_t end) {
                 RSLCORE_SIMD_CALL(bias_activation_chunks<T>, args, chunk, begin, end);
             });
}

template <typename T, typename Parallel>
void bias_activation_backward_cpu(const BiasActivationArgs<T>& args, const Parallel& parallel) {
    const int64_t chunk = bias_activation_chunk(args.rows, args.columns);
    const int64_t chunks = ceil_div(args.rows, chunk);
    const auto sums = std::make_unique_for_overwrite<double[]>(chunks * args.columns);
    parallel(chunks, grain_units(8 * chunk * args.columns), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(bias_activation_backward_chunks<T>, args, chunk, sums.get(), begin, end);
    });
    for (int64_t c = 0; c < args.columns; ++c) {
        double sum = 0.0;
        for (int64_t number = 0; number < chunks; ++number) {
            sum += sums[number * args.columns + c];
        }
        args.bias_gradient[c] = static_cast<T>(sum);
    }
}

}  // namespace rslcore
