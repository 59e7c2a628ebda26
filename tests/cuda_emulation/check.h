// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// What the drivers share: random inputs in memory of exactly their size (AddressSanitizer sees the first byte
// beyond), runs of an emulated launcher, comparison with the CPU.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cuda_shim.h"

namespace check {

// What is being checked, for messages.
inline std::string current_case;
inline int cases = 0;

inline void begin(std::string name) {
    current_case = std::move(name);
    ++cases;
}

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", current_case.c_str(), what.c_str());
    std::_Exit(1);
}

inline void that(bool condition, const char* what) {
    if (!condition) {
        fail(what);
    }
}

// For what a launcher returned.
inline void launched(int status) {
    that(status == cudaSuccess, "the launch was refused");
}

inline int done() {
    std::printf("%d cases\n", cases);
    return cases > 0 ? 0 : 1;
}

using Random = std::mt19937_64;

template <typename T>
std::vector<T> normal(Random& random, int64_t n, double mean = 0.0, double std = 1.0) {
    std::normal_distribution<double> distribution(mean, std);
    std::vector<T> x(n);
    for (T& value : x) {
        value = static_cast<T>(distribution(random));
    }
    return x;
}

inline std::vector<uint8_t> flags(Random& random, int64_t n, double probability) {
    std::bernoulli_distribution distribution(probability);
    std::vector<uint8_t> x(n);
    for (uint8_t& value : x) {
        value = distribution(random) ? 1 : 0;
    }
    return x;
}

// What an output or scratch buffer holds before an operator has written it.
template <typename T>
std::vector<T> garbage(int64_t n) {
    std::vector<T> x(n);
    if (n > 0) {
        std::memset(x.data(), cuda_shim::kGarbage, n * sizeof(T));
    }
    return x;
}

// Results of `launch(stream)`, a tuple of vectors; the same bits whether the first or the last block runs
// first.
template <typename LaunchAndReturn>
auto emulate(const LaunchAndReturn& launch) {
    static int stream;
    cuda_shim::expected_stream = &stream;
    cuda_shim::Runner& runner = cuda_shim::Runner::instance();
    runner.reverse = false;
    const auto results = launch(cuda_shim::expected_stream);
    runner.reverse = true;
    const auto again = launch(cuda_shim::expected_stream);
    const auto same = [](const auto& a, const auto& b) {
        return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
    };
    const bool all_same = std::apply(
        [&](const auto&... a) {
            return std::apply([&](const auto&... b) { return (same(a, b) && ...); }, again);
        },
        results);
    that(all_same, "the order of the blocks changes the result");
    return results;
}

// Floats to rounding, relative to the larger of the value and `magnitude`; integers exactly.
template <typename T>
void equal(const char* name, const std::vector<T>& got, const std::vector<T>& expected,
           double magnitude = 1.0) {
    that(got.size() == expected.size(), "sizes differ");
    for (size_t i = 0; i < got.size(); ++i) {
        bool same = got[i] == expected[i];
        if constexpr (std::is_floating_point_v<T>) {
            constexpr double kTolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;
            const double a = got[i];
            const double b = expected[i];
            same = same || (std::isnan(a) && std::isnan(b)) ||
                   std::abs(a - b) <= kTolerance * std::max(std::abs(b), magnitude);
        }
        if (!same) {
            fail(std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(got[i]) +
                 " in the emulation, " + std::to_string(expected[i]) + " on the CPU");
        }
    }
}

// run_cpu.h's `parallel` on the calling thread.
inline constexpr auto serial = [](int64_t units, int64_t, const auto& body) { body(int64_t{0}, units); };

}  // namespace check
