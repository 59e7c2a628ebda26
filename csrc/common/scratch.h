// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace rslcore {

// Uninitialized memory of the calling thread, aligned to cache lines and valid until the thread asks again.
// It stays with the thread: memory that the system hands out anew would have to be paged in at every call.
inline float* thread_scratch(int64_t floats) {
    struct Free {
        void operator()(float* memory) const { std::free(memory); }
    };
    thread_local std::unique_ptr<float, Free> memory;
    thread_local int64_t size = 0;
    if (floats > size) {
        constexpr size_t kLine = 64;
        const size_t bytes = (static_cast<size_t>(floats) * sizeof(float) + kLine - 1) / kLine * kLine;
        size = 0;
        memory.reset(static_cast<float*>(std::aligned_alloc(kLine, bytes)));
        if (memory == nullptr) {
            throw std::bad_alloc();
        }
        size = floats;
    }
    return memory.get();
}

}  // namespace rslcore
