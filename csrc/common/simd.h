// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// CPU kernels are compiled once per SIMD level, each into a namespace of that level's name; the best level
// that the processor has is chosen at run time. A kernel's cpu.cpp defines it in namespace
// rslcore::RSLCORE_SIMD. The emulation of CUDA compares with the baseline alone.

#if defined(__x86_64__) && !defined(RSLCORE_CUDA_EMULATION)
#define RSLCORE_SIMD_X86 1
#define RSLCORE_EACH_SIMD_LEVEL(...) \
    namespace baseline {             \
    __VA_ARGS__                      \
    }                                \
    namespace avx2 {                 \
    __VA_ARGS__                      \
    }                                \
    namespace avx512 {               \
    __VA_ARGS__                      \
    }
#else
#define RSLCORE_EACH_SIMD_LEVEL(...) \
    namespace baseline {             \
    __VA_ARGS__                      \
    }
#endif

namespace rslcore {

enum class SimdLevel { baseline, avx2, avx512 };

// Level in use: the processor's best, or the lower one named by the environment variable RSLCORE_SIMD
// ("baseline", "avx2", "avx512"). Decided at the first call.
SimdLevel simd_level();

const char* simd_level_name(SimdLevel level);

}  // namespace rslcore

// Calls a kernel declared by RSLCORE_EACH_SIMD_LEVEL at the level in use.
#if defined(RSLCORE_SIMD_X86)
#define RSLCORE_SIMD_CALL(kernel, ...)                    \
    do {                                                  \
        switch (::rslcore::simd_level()) {                \
            case ::rslcore::SimdLevel::avx512:            \
                ::rslcore::avx512::kernel(__VA_ARGS__);   \
                break;                                    \
            case ::rslcore::SimdLevel::avx2:              \
                ::rslcore::avx2::kernel(__VA_ARGS__);     \
                break;                                    \
            case ::rslcore::SimdLevel::baseline:          \
                ::rslcore::baseline::kernel(__VA_ARGS__); \
                break;                                    \
        }                                                 \
    } while (false)
#else
#define RSLCORE_SIMD_CALL(kernel, ...) ::rslcore::baseline::kernel(__VA_ARGS__)
#endif
