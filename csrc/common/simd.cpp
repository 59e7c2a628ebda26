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
    // All that -march=x86-64-v3 and -v4 let the compiler use and a virtual machine may mask.
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("movbe") &&
                    __builtin_cpu_supports("f16c");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    if (v4) {
        return SimdLevel::avx512;
    }
    if (v3) {
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
