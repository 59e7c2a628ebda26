// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "check.h"
#include "normalization/run_cpu.h"

namespace {

std::string shape(int64_t rows, int64_t columns, size_t size) {
    return std::to_string(rows) + " x " + std::to_string(columns) + (size == 4 ? " float" : " double");
}

// Moments of a first batch, then of a second one, the last unless `until` stops it.
template <typename T>
void moments(int64_t rows, int64_t columns, int64_t until) {
    check::begin("update_moments: " + shape(rows, columns, sizeof(T)) + " until " + std::to_string(until));
    check::Random random(rows * 10007 + columns);
    const std::vector<T> first = check::normal<T>(random, rows * columns, 3.0, 2.0);
    const std::vector<T> second = check::normal<T>(random, rows * columns, -1.0, 0.5);
    const auto run = [&](const auto& update) {
        std::vector<T> mean(columns, T(0));
        std::vector<T> var(columns, T(1));
        std::vector<int64_t> count(1, 0);
        for (const std::vector<T>* const x : {&first, &second}) {
            update(rslcore::MomentsArgs<T>{
                .rows = rows,
                .columns = columns,
                .x = x->data(),
                .mean = mean.data(),
                .var = var.data(),
                .count = count.data(),
                .until = until,
            });
        }
        return std::tuple(mean, var, count);
    };
    const auto [mean, var, count] =
        run([](const auto& args) { rslcore::update_moments_cpu<T>(args, check::serial); });
    const auto [emulated_mean, emulated_var, emulated_count] = check::emulate([&](void* stream) {
        return run([&](const auto& args) {
            auto scratch = check::garbage<double>(rslcore::moments_scratch_doubles(rows, columns));
            check::launched(rslcore::update_moments_cuda<T>(args, scratch.data(), stream));
        });
    });
    check::equal("mean", emulated_mean, mean);
    check::equal("var", emulated_var, var);
    check::equal("count", emulated_count, count);
}

template <typename T>
void normalize(int64_t rows, int64_t columns, bool in_place) {
    check::begin("normalize: " + shape(rows, columns, sizeof(T)) + (in_place ? " in place" : ""));
    check::Random random(rows * 10007 + columns);
    const std::vector<T> x = check::normal<T>(random, rows * columns);
    const std::vector<T> mean = check::normal<T>(random, columns);
    std::vector<T> var = check::normal<T>(random, columns);
    for (T& v : var) {
        v *= v;
    }
    const auto run = [&](const auto& operation) {
        std::vector<T> out = in_place ? x : check::garbage<T>(rows * columns);
        operation(rslcore::NormalizeArgs<T>{
            .rows = rows,
            .columns = columns,
            .x = in_place ? out.data() : x.data(),
            .mean = mean.data(),
            .var = var.data(),
            .eps = T(0.01),
            .out = out.data(),
        });
        return std::tuple(out);
    };
    const auto [out] = run([](const auto& args) { rslcore::normalize_cpu<T>(args, check::serial); });
    const auto [emulated] = check::emulate([&](void* stream) {
        return run([&](const auto& args) { check::launched(rslcore::normalize_cuda<T>(args, stream)); });
    });
    check::equal("out", emulated, out);
}

template <typename T>
void discounted_return(int64_t numel) {
    check::begin("discounted_return: " + shape(numel, 1, sizeof(T)));
    check::Random random(numel);
    const std::vector<T> rewards = check::normal<T>(random, numel);
    const std::vector<T> before = check::normal<T>(random, numel);
    std::vector<T> running = before;
    rslcore::discounted_return_cpu<T>(rewards.data(), running.data(), T(0.9), numel, check::serial);
    const auto [emulated] = check::emulate([&](void* stream) {
        std::vector<T> out = before;
        check::launched(
            rslcore::discounted_return_cuda<T>(rewards.data(), out.data(), T(0.9), numel, stream));
        return std::tuple(out);
    });
    check::equal("running", emulated, running);
}

}  // namespace

int main() {
    for (const auto& [rows, columns] : std::vector<std::pair<int, int>>{{0, 5},
                                                                        {5, 0},
                                                                        {1, 1},
                                                                        {2, 1},
                                                                        {1, 7},
                                                                        {7, 1},
                                                                        {2049, 1},
                                                                        {401, 31},
                                                                        {33, 48},
                                                                        {97, 97},
                                                                        {19, 255},
                                                                        {9, 256},
                                                                        {17, 257}}) {
        moments<float>(rows, columns, rslcore::kNoUntil);
        moments<double>(rows, columns, rows);
        normalize<float>(rows, columns, false);
        normalize<double>(rows, columns, true);
    }
    for (const int numel : {0, 1, 31, 255, 256, 257, 1021}) {
        discounted_return<float>(numel);
        discounted_return<double>(numel);
    }
    return check::done();
}
