// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>

#include "common/thread_choice.h"

namespace rslcore {

// CPU kernels work on a range of units (tiles, chunks) whose cut depends on the shape alone, never on the
// number of threads, so that no result does. Whoever calls a kernel hands out the ranges: torch's thread pool
// for tensors, parallel_for below for NumPy arrays.

inline int64_t ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// Units per thread that make a thread worth waking: about 32 Ki elements of work, some 10 us, what waking
// costs.
inline int64_t grain_units(int64_t elements_per_unit) {
    constexpr int64_t kElementsPerThread = 32 * 1024;
    return elements_per_unit >= kElementsPerThread ? 1 : ceil_div(kElementsPerThread, elements_per_unit + 1);
}

// Elements of work, little more than reading and writing, that are left to the calling thread: handing them
// out takes longer where threads sleep between calls. Loops whose threads are awake have an overload of their
// own.
template <typename Parallel>
constexpr int64_t serial_elements(const Parallel&) {
    return 128 * 1024;
}

inline double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Calls share() on so many threads, of which the calling one is one; throws what one of them threw. The
// others live for the call only: nothing to configure, safe after fork.
void run_threads(int64_t threads, const std::function<void()>& share);

// The same, by a pool if it is to have all threads that are of use. Fewer are wanted where cores are busy; a
// pool such as OpenMP's wakes all that it has, and waits for them, and new threads cost less than that.
template <typename Pool, typename Share>
void run_threads_of(const Pool& pool, int64_t most, int64_t threads, const Share& share) {
    if (threads == most) {
        pool(threads, share);
    } else {
        run_threads(threads, share);
    }
}

// Runs body(begin, end) over [0, units) on at most `most` threads, each with at least `grain` units: on as
// many as have lately been fastest at this place in the code. `pool(threads, share)` calls share() on so many
// threads at the same time. Blocks of units are taken one by one, so that a thread that comes late holds
// none.
template <typename Pool, typename Body>
void spread(int64_t units, int64_t grain, int64_t most, const Pool& pool, const Body& body) {
    grain = std::max<int64_t>(grain, 1);
    most = std::min(most, units / grain);
    if (most <= 1) {
        if (units > 0) {
            body(int64_t{0}, units);
        }
        return;
    }
    const auto run = [&](int64_t threads) {
        constexpr int64_t kBlocksPerThread = 4;
        const int64_t block = std::max(grain, ceil_div(units, kBlocksPerThread * threads));
        std::atomic<int64_t> next{0};
        run_threads_of(pool, most, threads, [&] {
            for (int64_t begin = next.fetch_add(block); begin < units; begin = next.fetch_add(block)) {
                body(begin, std::min(begin + block, units));
            }
        });
    };
    constexpr double kTrialShare =
        0.004;  // some ten places like this one take part in an iteration of training
    thread_local ThreadChoices choices(kTrialShare);
    ThreadChoice& choice = choices.of(units, grain, most);
    const double begin = seconds_now();
    const int64_t threads = choice.next(most, begin);
    if (threads == 1) {
        body(int64_t{0}, units);
    } else {
        run(threads);
    }
    choice.took(threads, static_cast<double>(units), begin, seconds_now());
}

// One thread per processor, unless RSLCORE_NUM_THREADS says otherwise.
int64_t num_processors();

inline constexpr auto parallel_for = [](int64_t units, int64_t grain, const auto& body) {
    spread(units, grain, num_processors(), run_threads, body);
};

}  // namespace rslcore
