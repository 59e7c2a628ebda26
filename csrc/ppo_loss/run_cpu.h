// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <memory>

#include "common/parallel.h"
#include "ppo_loss/launch.h"

namespace rslcore {

// The operator on the CPU: besides the gradients in `args`, loss [], stats [5] and, where all rows share one,
// the gradient of std [A]. `parallel(units, grain, body)` hands ranges of [0, units) to threads.
template <typename T, typename Parallel>
void ppo_loss_cpu(const PpoLossArgs<T>& args, T* loss, T* stats, T* std_gradient, const Parallel& parallel) {
    const int64_t unit_rows = ppo_loss_unit_rows(args.columns);
    const int64_t units = ceil_div(args.rows, unit_rows);
    const int64_t width = ppo_loss_sums(args);
    const auto partials = std::make_unique_for_overwrite<double[]>((units + 1) * width);
    // Divisions and a logarithm make an element cost about as much as eight that are only read and written.
    parallel(units, grain_units(8 * unit_rows * args.columns), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(ppo_loss_units<T>, args, partials.get(), begin, end);
    });
    double* const sums = partials.get() + units * width;
    std::fill(sums, sums + width, 0.0);
    for (int64_t unit = 0; unit < units; ++unit) {
        for (int64_t i = 0; i < width; ++i) {
            sums[i] += partials[unit * width + i];
        }
    }
    *loss = ppo_loss_from_sums(sums, static_cast<double>(args.rows), static_cast<double>(args.samples),
                               args.settings, stats);
    for (int64_t i = kPpoLossTerms; i < width; ++i) {
        std_gradient[i - kPpoLossTerms] = static_cast<T>(sums[i]);
    }
}

}  // namespace rslcore
