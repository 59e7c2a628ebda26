// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

// Fused multiply-adds per second that this machine does in registers: the ceiling of every matrix product.
// Arguments: threads, seconds. Prints FLOP/s, a multiply-add counted as two; the best of several bursts.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int kBytes = 64;
#elif defined(__AVX__)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kBytes)));

// As many independent sums as hide the latency of two units of four or five cycles, and fit the registers.
constexpr int kSums = 12;
constexpr long kSteps = 1 << 16;
constexpr int kBursts = 15;

static float burst(float scale, long rounds) {
    Vector sums[kSums];
    for (int i = 0; i < kSums; ++i) {
        sums[i] = Vector{} + scale * static_cast<float>(i);  // equal sums would be computed once
    }
    const Vector a = Vector{} + scale;
    const Vector b = Vector{} + 1e-9f;
    for (long round = 0; round < rounds; ++round) {
        for (long step = 0; step < kSteps; ++step) {
#pragma GCC unroll 12
            for (int i = 0; i < kSums; ++i) {
                sums[i] = sums[i] * a + b;
            }
        }
    }
    float total = 0;
    for (const Vector& sum : sums) {
        for (size_t lane = 0; lane < kBytes / sizeof(float); ++lane) {
            total += sum[lane];
        }
    }
    return total;
}

static double seconds_of(int threads, float scale, long rounds) {
    std::atomic<int> waiting{threads};
    std::atomic<float> sink{0};
    std::vector<std::thread> pool;
    const auto work = [&] {
        --waiting;
        while (waiting > 0) {
            std::this_thread::yield();
        }
        sink = sink + burst(scale, rounds);
    };
    for (int i = 1; i < threads; ++i) {
        pool.emplace_back(work);
    }
    while (waiting > 1) {
        std::this_thread::yield();
    }
    const auto start = std::chrono::steady_clock::now();
    work();
    for (std::thread& thread : pool) {
        thread.join();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int main(int argc, char** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
    const double wanted = argc > 2 ? std::atof(argv[2]) : 1.0;
    const float scale = 1.0f - 1e-7f * static_cast<float>(argc);  // unknown to the compiler
    long rounds = 1;
    while (seconds_of(threads, scale, rounds) < wanted / kBursts) {
        rounds *= 2;
    }
    double best = 1e30;
    for (int i = 0; i < kBursts; ++i) {
        best = std::min(best, seconds_of(threads, scale, rounds));
    }
    const double flops = 2.0 * (kBytes / sizeof(float)) * kSums * kSteps * rounds * threads;
    std::printf("%.6g\n", flops / best);
}
