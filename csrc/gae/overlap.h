// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "common/overlap.h"
#include "gae/launch.h"

namespace rslcore {

// Name of an output that shares memory with an input or with the other output, or null.
template <typename T>
const char* gae_overlap(const GaeArgs<T>& args) {
    const int64_t numel = args.num_steps * args.num_envs;
    const int64_t bytes = numel * static_cast<int64_t>(sizeof(T));
    std::vector<MemoryRange> memory{
        memory_range(args.returns, bytes, 0),
        memory_range(args.advantages, bytes, 1),
        memory_range(args.rewards, bytes, -1),
        memory_range(args.values, bytes, -1),
        memory_range(args.dones, numel, -1),
        memory_range(args.last_values, args.num_envs * static_cast<int64_t>(sizeof(T)), -1),
    };
    if (args.time_outs != nullptr) {
        memory.push_back(memory_range(args.time_outs, numel, -1));
        memory.push_back(memory_range(args.bootstrap, bytes, -1));
    }
    constexpr const char* kNames[] = {"returns", "advantages"};
    const int64_t shared = overlapping_target(memory);
    return shared < 0 ? nullptr : kNames[shared];
}

}  // namespace rslcore
