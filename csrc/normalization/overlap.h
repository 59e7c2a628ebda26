// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/overlap.h"
#include "normalization/launch.h"

namespace rslcore {

// `mean`, `var` and `count` are written while `x` is read: whether two of them share memory.
template <typename T>
bool moments_overlap(const MomentsArgs<T>& args) {
    const int64_t row = args.columns * static_cast<int64_t>(sizeof(T));
    std::vector<MemoryRange> memory{
        memory_range(args.x, args.rows * row, -1),
        memory_range(args.mean, row, 0),
        memory_range(args.var, row, 1),
        memory_range(args.count, sizeof(int64_t), 2),
    };
    return overlapping_target(memory) >= 0;
}

// `out` is written row by row while `x`, `mean` and `var` are read: whether it shares memory with them. It
// may be `x` itself.
template <typename T>
bool normalize_overlap(const NormalizeArgs<T>& args) {
    const int64_t row = args.columns * static_cast<int64_t>(sizeof(T));
    std::vector<MemoryRange> memory{
        memory_range(args.out, args.rows * row, 0),
        memory_range(args.mean, row, -1),
        memory_range(args.var, row, -1),
    };
    if (args.x != args.out) {
        memory.push_back(memory_range(args.x, args.rows * row, -1));
    }
    return overlapping_target(memory) >= 0;
}

}  // namespace rslcore
