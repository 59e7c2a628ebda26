// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

// Prints, for layers on a tile of 96 rows in cache: inputs, outputs, and the share of the FMA peak, measured
// in the same rounds, of the products of the outputs, of the inputs' gradients and of the weights' gradients.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "mlp/gemm.h"

namespace {

using namespace rslcore;
using namespace rslcore::RSLCORE_SIMD;

constexpr int64_t kRows = 96;
constexpr int kRounds = 25;
constexpr double kFlops = 3e7;  // of a measurement

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// FLOP/s of multiply-adds in registers, as many chains as hide their latency.
[[gnu::noinline]] double peak() {
    constexpr int kSteps = 30000;
    Vector s0 = vector_set(0.1f), s1 = s0 + 1.0f, s2 = s0 + 2.0f, s3 = s0 + 3.0f, s4 = s0 + 4.0f;
    Vector s5 = s0 + 5.0f, s6 = s0 + 6.0f, s7 = s0 + 7.0f, s8 = s0 + 8.0f, s9 = s0 + 9.0f;
    Vector a = vector_set(0.999f), b = vector_set(1e-3f);
    asm volatile("" : "+x"(a), "+x"(b));
    const double start = now();
    for (int k = 0; k < kSteps; ++k) {
        s0 = vector_fma(s0, a, b), s1 = vector_fma(s1, a, b), s2 = vector_fma(s2, a, b);
        s3 = vector_fma(s3, a, b), s4 = vector_fma(s4, a, b), s5 = vector_fma(s5, a, b);
        s6 = vector_fma(s6, a, b), s7 = vector_fma(s7, a, b), s8 = vector_fma(s8, a, b);
        s9 = vector_fma(s9, a, b);
    }
    const double seconds = now() - start;
    volatile float sink = vector_sum(s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9);
    static_cast<void>(sink);
    return 2.0 * kSteps * 10 * kVectorLanes / seconds;
}

template <typename Call>
double rate(double flops, const Call& call) {
    const int repeats = std::max(1, static_cast<int>(kFlops / flops));
    const double start = now();
    for (int i = 0; i < repeats; ++i) {
        call();
    }
    return flops * repeats / (now() - start);
}

void layer(int64_t in, int64_t out) {
    const int64_t in_stride = mlp_stride(in);
    const int64_t out_stride = mlp_stride(out);
    std::vector<float> x(kRows * in_stride, 0.5f), y(kRows * out_stride, 0.5f), w(in * out, 0.01f);
    std::vector<float> forward(mlp_packed_size(in, out)), back(mlp_packed_size(out, in)), dw(out * in_stride);
    pack_b_transposed(in, out, w.data(), in, forward.data());
    pack_b(out, in, w.data(), in, back.data());
    const double flops = 2.0 * kRows * in * out;
    double best[4] = {};
    for (int round = 0; round < kRounds; ++round) {
        const double rates[4] = {
            peak(),
            rate(
                flops,
                [&] { gemm(kRows, out, in, x.data(), in_stride, forward.data(), {}, y.data(), out_stride); }),
            rate(flops,
                 [&] { gemm(kRows, in, out, y.data(), out_stride, back.data(), {}, x.data(), in_stride); }),
            rate(flops,
                 [&] {
                     gemm_outer(out, in, kRows, y.data(), out_stride, x.data(), in_stride, dw.data(),
                                in_stride);
                 }),
        };
        for (int i = 0; i < 4; ++i) {
            best[i] = std::max(best[i], rates[i]);
        }
        std::fill(x.begin(), x.end(), 0.5f);
    }
    std::printf("%d %d %.3f %.3f %.3f\n", static_cast<int>(in), static_cast<int>(out), best[1] / best[0],
                best[2] / best[0], best[3] / best[0]);
}

}  // namespace

int main() {
    for (const auto& [in, out] : {std::pair{48, 64},
                                  {64, 64},
                                  {48, 128},
                                  {128, 128},
                                  {48, 512},
                                  {512, 256},
                                  {256, 128},
                                  {256, 256},
                                  {512, 512}}) {
        layer(in, out);
    }
}
