// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/overlap.h"
#include "episode_stats/episode_stats.h"
#include "episode_stats/launch.h"

namespace rslcore {

// `running`, `finished` and `count` are written while the others are read: whether one shares memory with
// another argument.
template <typename T>
bool episode_overlap(const EpisodeArgs<T>& args) {
    const int64_t row = args.num_envs * static_cast<int64_t>(sizeof(T));
    const int64_t rows = episode_rows(args.intrinsic != nullptr);
    std::vector<MemoryRange> memory{
        memory_range(args.running, rows * row, 0),
        memory_range(args.finished, args.window * rows * static_cast<int64_t>(sizeof(T)), 1),
        memory_range(args.count, sizeof(int64_t), 2),
        memory_range(args.rewards, row, -1),
        memory_range(args.intrinsic, args.intrinsic == nullptr ? 0 : row, -1),
        memory_range(args.dones, args.num_envs, -1),
    };
    return overlapping_target(memory) >= 0;
}

}  // namespace rslcore
