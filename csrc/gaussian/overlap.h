// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/overlap.h"
#include "gaussian/launch.h"

namespace rslcore {

// `actions` and `log_prob` are written while the others are read: whether one shares memory with another
// argument.
template <typename T>
bool gaussian_overlap(const GaussianArgs<T>& args) {
    const int64_t row = args.columns * static_cast<int64_t>(sizeof(T));
    const int64_t all = args.rows * row;
    std::vector<MemoryRange> memory{
        memory_range(args.actions, all, 0),
        memory_range(args.log_prob, args.rows * static_cast<int64_t>(sizeof(T)), 1),
        memory_range(args.mean, all, -1),
        memory_range(args.std, args.std_rows ? all : row, -1),
        memory_range(args.noise, args.noise == nullptr ? 0 : all, -1),
        memory_range(args.counter, args.counter == nullptr ? 0 : sizeof(int64_t), -1),
    };
    return overlapping_target(memory) >= 0;
}

}  // namespace rslcore
