// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/parallel.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <vector>

namespace rslcore {
namespace {

int64_t max_threads() {
    if (const char* wanted = std::getenv("RSLCORE_NUM_THREADS")) {
        const int64_t threads = std::atoll(wanted);
        if (threads > 0) {
            return std::min<int64_t>(threads, 1024);
        }
    }
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
        return std::max(CPU_COUNT(&allowed), 1);
    }
    return std::max<int64_t>(std::thread::hardware_concurrency(), 1);
}

}  // namespace

void parallel_for(int64_t units, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
    if (units <= 0) {
        return;
    }
    const int64_t threads = std::clamp<int64_t>(units / std::max<int64_t>(grain, 1), 1, max_threads());
    const int64_t share = ceil_div(units, threads);
    std::vector<std::jthread> helpers;  // joined whatever happens
    helpers.reserve(threads);
    int64_t begin = share;
    try {
        for (; begin < units; begin += share) {
            helpers.emplace_back([&body, begin, end = std::min(begin + share, units)] { body(begin, end); });
        }
    } catch (const std::system_error&) {
        // No more threads to be had here: this one does the rest. The cut into units stays, and so does the
        // result.
        body(begin, units);
    }
    body(0, std::min(share, units));
}

}  // namespace rslcore
