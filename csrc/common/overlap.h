// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace rslcore {

// Memory that an operator reads or writes.
struct MemoryRange {
    uintptr_t begin;
    uintptr_t end;
    int64_t target;  // number of the target that is written, or -1 for what is read
};

inline MemoryRange memory_range(const void* data, int64_t bytes, int64_t target) {
    const uintptr_t begin = reinterpret_cast<uintptr_t>(data);
    return {begin, begin + static_cast<uintptr_t>(bytes), target};
}

// Number of a target that shares memory with another range, or -1. Destroys the order of `ranges`.
inline int64_t overlapping_target(std::vector<MemoryRange>& ranges) {
    std::erase_if(ranges, [](const MemoryRange& range) { return range.begin == range.end; });
    std::sort(ranges.begin(), ranges.end(),
              [](const MemoryRange& a, const MemoryRange& b) { return a.begin < b.begin; });
    MemoryRange read{0, 0, -1};
    MemoryRange written{0, 0, -1};
    for (const MemoryRange& range : ranges) {
        if (range.begin < written.end) {
            return written.target;
        }
        if (range.target >= 0 && range.begin < read.end) {
            return range.target;
        }
        MemoryRange& furthest = range.target >= 0 ? written : read;
        if (range.end > furthest.end) {
            furthest = range;
        }
    }
    return -1;
}

}  // namespace rslcore
