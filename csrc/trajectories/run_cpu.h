// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>

#include "common/parallel.h"
#include "trajectories/launch.h"

namespace rslcore {

// The whole operators on the CPU. `parallel(units, grain, body)` hands ranges of [0, units) to threads:
// torch's pool or rslcore::parallel_for.

template <typename Parallel>
void split_trajectories_cpu(const SplitArgs& args, const Parallel& parallel) {
    const int64_t rows = args.num_steps * args.num_envs;
    if (rows == 0) {
        std::fill_n(args.offsets, args.num_envs + 1, int64_t{0});
        return;
    }
    const int64_t grain = grain_units(args.num_steps);
    parallel(args.num_envs, grain,
             [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(count_trajectories, args, begin, end); });
    args.offsets[0] = 0;
    for (int64_t n = 0; n < args.num_envs; ++n) {
        args.offsets[n + 1] += args.offsets[n];
    }
    parallel(args.num_envs, grain,
             [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(write_trajectories, args, begin, end); });
    const int64_t count = args.offsets[args.num_envs];
    std::fill(args.starts + count, args.starts + rows, int64_t{0});
    std::fill(args.lengths + count, args.lengths + rows, int64_t{0});
}

// What `starts` and `lengths` say of a rollout [T, N].
struct TrajectoriesFound {
    int64_t bad;    // number of the first one that leaves the rollout or precedes or overlaps another, or -1
    int64_t steps;  // of all together
};

inline TrajectoriesFound find_trajectories(const PadArgs& args) {
    TrajectoriesFound found{-1, 0};
    int64_t free = 0;  // first step behind the trajectory before, steps counted environment by environment
    for (int64_t k = 0; k < args.num_trajectories; ++k) {
        const int64_t start = args.starts[k];
        const int64_t length = args.lengths[k];
        if (length == 0) {
            continue;
        }
        const bool inside = start >= 0 && start < args.num_steps * args.num_envs && length > 0 &&
                            length <= args.num_steps - start / args.num_envs;
        const int64_t first = inside ? start % args.num_envs * args.num_steps + start / args.num_envs : -1;
        if (first < free) {
            found.bad = k;
            return found;
        }
        free = first + length;
        found.steps += length;
    }
    return found;
}

// Number of a trajectory that find_trajectories() finds bad, and then nothing is written, or -1.
template <typename Parallel>
int64_t pad_trajectories_cpu(const PadArgs& args, const Parallel& parallel) {
    const TrajectoriesFound found = find_trajectories(args);
    if (found.bad < 0 && args.row_bytes > 0 && args.num_trajectories > 0) {
        parallel(args.num_steps * args.num_trajectories, grain_units(args.row_bytes / 4),
                 [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(pad_rows, args, begin, end); });
    }
    return found.bad;
}

template <typename Parallel>
int64_t unpad_trajectories_cpu(const PadArgs& args, const Parallel& parallel) {
    const TrajectoriesFound found = find_trajectories(args);
    if (found.bad < 0 && args.row_bytes > 0) {
        const int64_t grain = grain_units(args.row_bytes / 4);
        const int64_t rows = args.num_steps * args.num_envs;
        if (found.steps < rows) {
            parallel(rows, grain, [&](int64_t begin, int64_t end) {
                std::fill(args.target + begin * args.row_bytes, args.target + end * args.row_bytes,
                          static_cast<unsigned char>(0));
            });
        }
        if (args.num_trajectories > 0) {
            parallel(args.num_steps * args.num_trajectories, grain,
                     [&](int64_t begin, int64_t end) { RSLCORE_SIMD_CALL(unpad_rows, args, begin, end); });
        }
    }
    return found.bad;
}

}  // namespace rslcore
