// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "cart_pole/cart_pole.h"
#include "cart_pole/launch.h"
#include "common/overlap.h"

namespace rslcore {

// All arguments but `actions` are written: whether two share memory.
template <typename T>
bool cart_pole_overlap(const CartPoleArgs<T>& args) {
    const int64_t floats = args.num_envs * static_cast<int64_t>(sizeof(T));
    const int64_t integers = args.num_envs * static_cast<int64_t>(sizeof(int64_t));
    const int64_t rows = kPoleStates * args.num_poles * floats;
    std::vector<MemoryRange> memory{
        memory_range(args.actions, args.num_poles * floats, -1),
        memory_range(args.state, rows, 0),
        memory_range(args.episode_lengths, integers, 1),
        memory_range(args.episodes, integers, 2),
        memory_range(args.ended, 2 * sizeof(int64_t), 3),
        memory_range(args.observations, rows, 4),
        memory_range(args.rewards, floats, 5),
        memory_range(args.dones, args.num_envs, 6),
        memory_range(args.time_outs, args.num_envs, 7),
        memory_range(args.final_observations, args.final_observations == nullptr ? 0 : rows, 8),
    };
    return overlapping_target(memory) >= 0;
}

template <typename T>
bool cart_pole_overlap(const CartPoleResetArgs<T>& args) {
    const int64_t integers = args.num_envs * static_cast<int64_t>(sizeof(int64_t));
    const int64_t rows = kPoleStates * args.num_poles * args.num_envs * static_cast<int64_t>(sizeof(T));
    std::vector<MemoryRange> memory{
        memory_range(args.state, rows, 0),
        memory_range(args.episode_lengths, integers, 1),
        memory_range(args.episodes, integers, 2),
        memory_range(args.observations, rows, 3),
    };
    return overlapping_target(memory) >= 0;
}

}  // namespace rslcore
