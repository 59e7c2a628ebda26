// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <memory>

#include "common/parallel.h"
#include "normalization/launch.h"

namespace rslcore {

// The operators on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads: torch's
// pool or rslcore::parallel_for.
template <typename T, typename Parallel>
void update_moments_cpu(const MomentsArgs<T>& args, const Parallel& parallel) {
    if (args.rows * args.columns == 0 || *args.count >= args.until) {
        return;
    }
    const NormalizationCut cut = normalization_cut(args.rows, args.columns);
    const auto partials = std::make_unique_for_overwrite<double[]>(cut.partials(args.columns));
    parallel(cut.units(), grain_units(cut.chunk * cut.tile), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(moments_sums<T>, args, cut, partials.get(), begin, end);
    });
    parallel(cut.tiles, grain_units(cut.chunks * cut.tile), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(moments_merge<T>, args, cut, partials.get(), begin, end);
    });
    *args.count += args.rows;
}

template <typename T, typename Parallel>
void normalize_cpu(const NormalizeArgs<T>& args, const Parallel& parallel) {
    if (args.rows * args.columns == 0) {
        return;
    }
    const NormalizationCut cut = normalization_cut(args.rows, args.columns);
    parallel(cut.units(), grain_units(cut.chunk * cut.tile), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(normalize_units<T>, args, cut, begin, end);
    });
}

template <typename T, typename Parallel>
void discounted_return_cpu(const T* rewards, T* running, T gamma, int64_t numel, const Parallel& parallel) {
    parallel(numel, grain_units(1), [&](int64_t begin, int64_t end) {
        RSLCORE_SIMD_CALL(discounted_return<T>, rewards, running, gamma, begin, end);
    });
}

}  // namespace rslcore
