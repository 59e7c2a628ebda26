// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "gaussian/run_cpu.h"

#include "check.h"

namespace {

template <typename T>
void gaussian_sample(int64_t rows, int64_t columns, bool std_rows, bool given_noise, bool counted) {
    check::begin("gaussian_sample: " + std::to_string(rows) + " x " + std::to_string(columns) +
                 (sizeof(T) == 4 ? " float" : " double") + (std_rows ? " std per row" : "") +
                 (given_noise ? " noise" : "") + (counted ? " counter" : ""));
    check::Random random(rows * 1009 + columns);
    const int64_t n = rows * columns;
    const std::vector<T> mean = check::normal<T>(random, n);
    std::vector<T> std = check::normal<T>(random, std_rows ? n : columns);
    for (T& value : std) {
        value = std::abs(value) + T(0.1);
    }
    const std::vector<T> noise = check::normal<T>(random, n);
    const std::vector<int64_t> counter{int64_t{1} << 33};
    const auto run = [&](const auto& operation) {
        std::vector<T> actions = check::garbage<T>(n);
        std::vector<T> log_prob = check::garbage<T>(rows);
        operation(rslcore::GaussianArgs<T>{
            .rows = rows,
            .columns = columns,
            .mean = mean.data(),
            .std = std.data(),
            .std_rows = std_rows,
            .noise = given_noise ? noise.data() : nullptr,
            .seed = 0x123456789abcdefu,
            .offset = 5,
            .counter = counted ? counter.data() : nullptr,
            .actions = actions.data(),
            .log_prob = log_prob.data(),
        });
        return std::tuple(actions, log_prob);
    };
    const auto [actions, log_prob] =
        run([](const auto& args) { rslcore::gaussian_cpu(args, check::serial); });
    const auto [emulated_actions, emulated_log_prob] = check::emulate([&](void* stream) {
        return run([&](const auto& args) { check::launched(rslcore::gaussian_cuda(args, stream)); });
    });
    check::equal("actions", emulated_actions, actions);
    check::equal("log_prob", emulated_log_prob, log_prob, static_cast<double>(columns));
}

template <typename T>
void each() {
    for (const auto& [rows, columns] :
         std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {3, 0}, {300, 1}, {67, 3}, {65, 5}, {43, 12}}) {
        gaussian_sample<T>(rows, columns, false, false, false);
    }
    gaussian_sample<T>(9, 33, true, false, true);
    gaussian_sample<T>(2, 1100, false, false, true);  // a row of several tiles
    gaussian_sample<T>(2, 1100, true, true, false);
    gaussian_sample<T>(43, 12, true, true, false);
}

}  // namespace

int main() {
    each<float>();
    each<double>();
    return check::done();
}
