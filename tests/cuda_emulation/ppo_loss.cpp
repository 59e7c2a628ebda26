// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "ppo_loss/run_cpu.h"

#include "check.h"

namespace {

struct Case {
    int64_t rows;
    int64_t samples;
    int64_t columns;
    bool std_rows;
    bool old_law;
    bool clip_value;
};

template <typename T>
std::vector<T> positive(check::Random& random, int64_t n) {
    std::vector<T> x = check::normal<T>(random, n);
    for (T& value : x) {
        value = std::abs(value) + T(0.3);
    }
    return x;
}

template <typename T>
void ppo_loss(const Case& c) {
    check::begin("ppo_loss: " + std::to_string(c.rows) + " rows, " + std::to_string(c.samples) +
                 " samples, " + std::to_string(c.columns) + " columns" +
                 (sizeof(T) == 4 ? " float" : " double") + (c.std_rows ? " std per row" : "") +
                 (c.old_law ? " old law" : "") + (c.clip_value ? " clipped values" : ""));
    check::Random random(c.rows * 1009 + c.columns);
    const int64_t n = c.rows * c.columns;
    const int64_t std_size = c.std_rows ? n : c.columns;
    const std::vector<T> mean = check::normal<T>(random, n);
    const std::vector<T> std = positive<T>(random, std_size);
    const std::vector<T> actions = check::normal<T>(random, n);
    const std::vector<T> values = check::normal<T>(random, c.rows);
    const std::vector<T> advantages = check::normal<T>(random, c.rows);
    const std::vector<T> returns = check::normal<T>(random, c.rows);
    const std::vector<T> old_values = check::normal<T>(random, c.rows);
    const std::vector<T> old_mean = check::normal<T>(random, c.samples * c.columns);
    const std::vector<T> old_std = positive<T>(random, c.samples * c.columns);
    // Probabilities near the new ones, so that some ratios are clipped and some are not.
    std::vector<T> old_log_prob = check::normal<T>(random, c.rows, 0.0, 0.2);
    for (int64_t row = 0; row < c.rows; ++row) {
        T surprise = T(0);
        for (int64_t a = 0; a < c.columns; ++a) {
            const int64_t e = row * c.columns + a;
            const T s = std[c.std_rows ? e : a];
            surprise += rslcore::gaussian_surprise(actions[e], mean[e], T(1) / s, rslcore::log_std(s));
        }
        old_log_prob[row] += rslcore::gaussian_log_prob(surprise, c.columns);
    }
    const auto run = [&](const auto& operation) {
        std::vector<T> mean_gradient = check::garbage<T>(n);
        std::vector<T> std_gradient = check::garbage<T>(std_size);
        std::vector<T> value_gradient = check::garbage<T>(c.rows);
        std::vector<T> loss = check::garbage<T>(1);
        std::vector<T> stats = check::garbage<T>(rslcore::kPpoLossTerms);
        rslcore::PpoLossArgs<T> args{};
        args.rows = c.rows;
        args.samples = c.samples;
        args.columns = c.columns;
        args.mean = mean.data();
        args.mean_stride = c.columns;
        args.std = std.data();
        args.std_stride = c.std_rows ? c.columns : 0;
        args.values = values.data();
        args.value_stride = 1;
        args.actions = actions.data();
        args.old_log_prob = old_log_prob.data();
        args.advantages = advantages.data();
        args.returns = returns.data();
        args.old_values = c.clip_value ? old_values.data() : nullptr;
        args.old_mean = c.old_law ? old_mean.data() : nullptr;
        args.old_std = c.old_law ? old_std.data() : nullptr;
        args.old_std_stride = c.columns;
        args.settings = rslcore::ppo_loss_settings<T>(0.2, 1.3, 0.01, c.clip_value, c.rows, c.samples);
        args.mean_gradient = mean_gradient.data();
        args.mean_gradient_stride = c.columns;
        args.std_gradient = std_gradient.data();
        args.std_gradient_stride = c.columns;
        args.value_gradient = value_gradient.data();
        args.value_gradient_stride = 1;
        operation(args, loss.data(), stats.data(), std_gradient.data());
        return std::tuple(loss, stats, mean_gradient, std_gradient, value_gradient);
    };
    const auto expected = run([](const auto& args, T* loss, T* stats, T* std_gradient) {
        rslcore::ppo_loss_cpu(args, loss, stats, std_gradient, check::serial);
    });
    const auto got = check::emulate([&](void* stream) {
        return run([&](const auto& args, T* loss, T* stats, T* std_gradient) {
            std::vector<double> scratch = check::garbage<double>(rslcore::ppo_loss_scratch_doubles(args));
            check::launched(rslcore::ppo_loss_cuda(args, scratch.data(), loss, stats, std_gradient, stream));
        });
    });
    const double scale = static_cast<double>(c.columns + 1);
    check::equal("loss", std::get<0>(got), std::get<0>(expected), scale);
    check::equal("stats", std::get<1>(got), std::get<1>(expected), scale);
    check::equal("mean gradient", std::get<2>(got), std::get<2>(expected), scale);
    check::equal("std gradient", std::get<3>(got), std::get<3>(expected), scale);
    check::equal("value gradient", std::get<4>(got), std::get<4>(expected));
}

template <typename T>
void each() {
    for (const Case& c : std::vector<Case>{
             {0, 0, 3, false, true, true},     // nothing but a mean of nothing
             {3, 3, 0, false, true, true},     //
             {1, 1, 1, false, true, true},     //
             {65, 65, 5, false, true, false},  // a tile and a row
             {130, 70, 12, false, true, true}  // a block with two tiles, mirror images behind the samples
         }) {
        ppo_loss<T>(c);
    }
    ppo_loss<T>({20, 11, 12, true, true, true});
    ppo_loss<T>({20, 20, 37, false, false, true});
}

}  // namespace

int main() {
    each<float>();
    each<double>();
    // More columns than threads; float would round log-probabilities of that size to 1e-4.
    ppo_loss<double>({3, 2, 300, false, true, true});
    return check::done();
}
