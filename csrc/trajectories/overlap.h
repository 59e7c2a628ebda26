// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/overlap.h"
#include "trajectories/launch.h"

namespace rslcore {

// Whether two of `starts`, `lengths` and `offsets`, which are written, or one of them and `dones` share
// memory.
inline bool split_overlap(const SplitArgs& args) {
    constexpr int64_t kInt = sizeof(int64_t);
    const int64_t rows = args.num_steps * args.num_envs;
    std::vector<MemoryRange> memory{
        memory_range(args.dones, rows, -1),
        memory_range(args.starts, rows * kInt, 0),
        memory_range(args.lengths, rows * kInt, 1),
        memory_range(args.offsets, (args.num_envs + 1) * kInt, 2),
    };
    return overlapping_target(memory) >= 0;
}

// Whether the target, of `target_rows` rows, shares memory with the source, of `source_rows`, or with what
// says where to take rows from.
inline bool pad_overlap(const PadArgs& args, int64_t source_rows, int64_t target_rows) {
    constexpr int64_t kInt = sizeof(int64_t);
    std::vector<MemoryRange> memory{
        memory_range(args.source, source_rows * args.row_bytes, -1),
        memory_range(args.starts, args.num_trajectories * kInt, -1),
        memory_range(args.lengths, args.num_trajectories * kInt, -1),
        memory_range(args.target, target_rows * args.row_bytes, 0),
    };
    return overlapping_target(memory) >= 0;
}

}  // namespace rslcore
