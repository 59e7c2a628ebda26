// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/thread_choice.h"

#include <cstdlib>
#include <cstring>

namespace rslcore {

bool threads_are_measured() {
    static const bool measured = [] {
        const char* const wanted = std::getenv("RSLCORE_THREADS");
        return wanted == nullptr || std::strcmp(wanted, "all") != 0;
    }();
    return measured;
}

}  // namespace rslcore
