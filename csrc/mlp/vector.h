// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// One register of floats, as wide as the SIMD level that the file is compiled for. Arithmetic, comparisons
// and `mask ? a : b` are the compiler's own (vector extensions of GCC and Clang); only what they lack is
// named here.

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace rslcore::RSLCORE_SIMD {

#if defined(__AVX512F__)
inline constexpr int64_t kVectorLanes = 16;
#elif defined(__AVX2__)
inline constexpr int64_t kVectorLanes = 8;
#else
inline constexpr int64_t kVectorLanes = 4;
#endif

typedef float Vector __attribute__((vector_size(4 * kVectorLanes)));
typedef int32_t VectorInt __attribute__((vector_size(4 * kVectorLanes)));
typedef float VectorInMemory __attribute__((vector_size(4 * kVectorLanes), aligned(4), may_alias));

[[gnu::always_inline]] inline Vector vector_load(const float* from) {
    return *reinterpret_cast<const VectorInMemory*>(from);
}

[[gnu::always_inline]] inline void vector_store(float* to, Vector x) {
    *reinterpret_cast<VectorInMemory*>(to) = x;
}

[[gnu::always_inline]] inline Vector vector_set(float x) {
    return x - Vector{};
}

[[gnu::always_inline]] inline VectorInt vector_bits(Vector x) {
    return reinterpret_cast<VectorInt>(x);
}

[[gnu::always_inline]] inline Vector vector_from_bits(VectorInt x) {
    return reinterpret_cast<Vector>(x);
}

// a * b + c, rounded once where the processor can, whatever the compiler contracts by itself.
[[gnu::always_inline]] inline Vector vector_fma(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__FMA__) && defined(__AVX2__)
    return _mm256_fmadd_ps(a, b, c);
#elif defined(__aarch64__)
    return vfmaq_f32(c, a, b);
#else
    return a * b + c;
#endif
}

// n - a * b for a product near n: what rounding took from it; 0 where the processor cannot tell.
[[gnu::always_inline]] inline Vector vector_residual(Vector n, Vector a, Vector b) {
#if defined(__FMA__) || defined(__aarch64__)
    return vector_fma(-a, b, n);
#else
    (void)n, (void)a, (void)b;
    return Vector{};
#endif
}

[[gnu::always_inline]] inline Vector vector_abs(Vector x) {
    return vector_from_bits(vector_bits(x) & 0x7fffffff);
}

// The larger of `x` and `bound`; a NaN in `x` stays.
[[gnu::always_inline]] inline Vector vector_at_least(Vector x, Vector bound) {
    return bound > x ? bound : x;
}

// x > bound ? a : b, lane by lane; b where x is NaN.
[[gnu::always_inline]] inline Vector vector_if_greater(Vector x, Vector bound, Vector a, Vector b) {
#if defined(__AVX512F__)
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, bound, _CMP_GT_OQ), b, a);
#else
    return x > bound ? a : b;
#endif
}

// x <= bound ? a : b, lane by lane; b where x is NaN.
[[gnu::always_inline]] inline Vector vector_if_at_most(Vector x, Vector bound, Vector a, Vector b) {
#if defined(__AVX512F__)
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, bound, _CMP_LE_OQ), b, a);
#else
    return x <= bound ? a : b;
#endif
}

// x * 2^n for integers n in [-252, 252], rounded once.
[[gnu::always_inline]] inline Vector vector_scale(Vector x, Vector n) {
#if defined(__AVX512F__)
    return _mm512_maskz_scalef_ps(0xffff, x, n);  // the plain form alarms -Wmaybe-uninitialized of GCC 12
#else
    const VectorInt all = __builtin_convertvector(n, VectorInt);
    const VectorInt half = all >> 1;
    return x * vector_from_bits((half + 127) << 23) * vector_from_bits((all - half + 127) << 23);
#endif
}

// Sum of the lanes, in a fixed order.
[[gnu::always_inline]] inline float vector_sum(Vector x) {
    float lanes[kVectorLanes];
    memcpy(lanes, &x, sizeof(x));
    for (int64_t width = kVectorLanes / 2; width > 0; width /= 2) {
        for (int64_t i = 0; i < width; ++i) {
            lanes[i] += lanes[i + width];
        }
    }
    return lanes[0];
}

}  // namespace rslcore::RSLCORE_SIMD
