// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/simd.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace rslcore {
namespace {

SimdLevel best_level() {
#if defined(RSLCORE_SIMD_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return SimdLevel::avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return SimdLevel::avx2;
    }
#endif
    return SimdLevel::baseline;
}

SimdLevel chosen_level() {
    const SimdLevel best = best_level();
    const char* wanted = std::getenv("RSLCORE_SIMD");
    if (wanted != nullptr) {
        for (const SimdLevel level : {SimdLevel::baseline, SimdLevel::avx2}) {
            if (level < best && std::strcmp(wanted, simd_level_name(level)) == 0) {
                return level;
            }
        }
    }
    return best;
}

}  // namespace

SimdLevel simd_level() {
    static const SimdLevel level = chosen_level();
    return level;
}

const char* simd_level_name(SimdLevel level) {
    switch (level) {
        case SimdLevel::avx512:
            return "avx512";
        case SimdLevel::avx2:
            return "avx2";
        case SimdLevel::baseline:
            break;
    }
    return "baseline";
}

}  // namespace rslcore
