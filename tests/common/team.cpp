// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

// Team under a thread sanitizer: orders of all sizes, by pools whose threads come at once, late or never.

#include "common/team.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

using rslcore::Team;

namespace {

// Late threads come when half of the work is done, absent ones not at all.
struct Pool {
    int64_t late_ms;
    int64_t absent;

    template <typename Share>
    void operator()(int64_t threads, const Share& share) const {
        std::vector<std::jthread> helpers;
        for (int64_t i = 1; i + absent < threads; ++i) {
            helpers.emplace_back([&share, late = late_ms * i] {
                std::this_thread::sleep_for(std::chrono::milliseconds(late));
                share();
            });
        }
        share();
    }
};

void check(bool right, const char* what) {
    if (!right) {
        std::fprintf(stderr, "team: %s\n", what);
        std::exit(1);
    }
}

// Every unit is done once, by one thread at a time, before the loop returns; what it wrote is seen after.
void orders(int64_t threads, const Pool& pool) {
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<bool> helped{false};
    Team::run(threads, pool, [&](const Team::Loop& loop) {
        check(std::this_thread::get_id() == caller, "the body must run in the calling thread");
        std::vector<int64_t> done;
        for (int64_t round = 0; round < 2000; ++round) {
            const int64_t units = round % 67;
            const int64_t grain = 1 + round % 5;
            done.assign(static_cast<size_t>(units), 0);
            loop(units, grain, [&](int64_t begin, int64_t end) {
                check(0 <= begin && begin < end && end <= units, "a block must lie within the units");
                for (int64_t unit = begin; unit < end; ++unit) {
                    done[static_cast<size_t>(unit)] += unit + round;
                }
                if (std::this_thread::get_id() != caller) {
                    helped.store(true, std::memory_order_relaxed);
                }
            });
            for (int64_t unit = 0; unit < units; ++unit) {
                check(done[static_cast<size_t>(unit)] == unit + round, "every unit must be done once");
            }
        }
        // Whoever is there takes part: one that comes late too.
        const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (threads > 1 && pool.absent == 0 && !helped && std::chrono::steady_clock::now() < patience) {
            loop(threads * 8, 1, [&](int64_t, int64_t) {
                std::this_thread::sleep_for(std::chrono::microseconds(100));
                if (std::this_thread::get_id() != caller) {
                    helped.store(true, std::memory_order_relaxed);
                }
            });
        }
    });
    check(helped == (threads > 1 && pool.absent == 0),
          "threads that are there must take part, and no others");
}

}  // namespace

int main() {
    orders(1, {0, 0});
    orders(4, {0, 0});
    orders(3, {5, 0});
    orders(3, {0, 2});
    return 0;
}
