// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/parallel.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace rslcore {

int64_t num_processors() {
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

void run_threads(int64_t threads, const std::function<void()>& share) {
    std::exception_ptr error;
    std::mutex first;
    const auto guarded = [&] {
        try {
            share();
        } catch (...) {
            const std::lock_guard lock(first);
            error = error == nullptr ? std::current_exception() : error;
        }
    };
    {
        std::vector<std::jthread> helpers;  // joined at the end of the block
        helpers.reserve(static_cast<size_t>(threads));
        try {
            while (static_cast<int64_t>(helpers.size()) < threads - 1) {
                helpers.emplace_back(guarded);
            }
        } catch (const std::system_error&) {
            // No more threads to be had here: those that there are do the rest.
        }
        guarded();
    }
    if (error != nullptr) {
        std::rethrow_exception(error);
    }
}

}  // namespace rslcore
