// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/macros.h"
#include "trajectories/launch.h"

namespace rslcore {

// A rollout [T, N] consists of K trajectories, environment by environment; one ends where an episode does or
// the rollout (as rsl_rl 5.5.1 splits them). Padded to T steps they are [T, K].

// The trajectory of environment n that goes from step `first` through `last` is number k.
RSLCORE_HD void write_trajectory(const SplitArgs& args, int64_t k, int64_t n, int64_t first, int64_t last) {
    args.starts[k] = first * args.num_envs + n;
    args.lengths[k] = last + 1 - first;
}

// Row of [T * N] that step `step` of a trajectory is, or -1 where it is padding; what lies outside the
// rollout, which no trajectory should, counts as padding.
RSLCORE_HD int64_t trajectory_row(int64_t start, int64_t length, int64_t step, int64_t num_envs,
                                  int64_t rows) {
    if (step >= length || start < 0 || start >= rows) {
        return -1;
    }
    const int64_t row = start + step * num_envs;
    return row < rows ? row : -1;
}

}  // namespace rslcore
