// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

// ThreadChoices on a simulated clock: numbers of units that change at every call, as those of trajectories
// do.

#include <cstdint>
#include <cstdio>

#include "common/thread_choice.h"

int main() {
    rslcore::ThreadChoices choices(0.02);
    double now = 0.0;
    int64_t bad = 0;
    for (int64_t call = 0; call < 2000; ++call) {
        const int64_t units = 1000 + call * 7919 % 1000;
        const int64_t size = 1 + call % 10;          // fields of so many widths
        const int64_t most = call % 2 == 0 ? 2 : 4;  // two callers
        rslcore::ThreadChoice& choice = choices.of(units, size, most);
        const int64_t threads = choice.next(most, now);
        const double seconds = static_cast<double>(units) * (threads == 1 ? 1e-6 : 1e-5);
        choice.took(threads, static_cast<double>(units), now, now + seconds);
        now += seconds;
        bad += call >= 1000 && threads != 1 ? 1 : 0;
    }
    std::printf("%d\n", static_cast<int>(bad));
    return bad <= 50 ? 0 : 1;
}
