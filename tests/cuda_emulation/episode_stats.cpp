// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "episode_stats/run_cpu.h"

#include "check.h"

namespace {

template <typename T>
void episode_stats(int64_t num_envs, int64_t window, double probability, bool with_intrinsic) {
    check::begin("episode_stats: N " + std::to_string(num_envs) + " W " + std::to_string(window) +
                 " done with probability " + std::to_string(probability) +
                 (with_intrinsic ? " intrinsic" : "") + (sizeof(T) == 4 ? " float" : " double"));
    check::Random random(num_envs * 1009 + window);
    constexpr int64_t kSteps = 2;
    const int64_t rows = with_intrinsic ? 4 : 2;
    const std::vector<T> rewards = check::normal<T>(random, kSteps * num_envs);
    const std::vector<T> intrinsic = check::normal<T>(random, kSteps * num_envs);
    const std::vector<uint8_t> dones = check::flags(random, kSteps * num_envs, probability);
    const std::vector<T> before = check::normal<T>(random, rows * num_envs);
    const auto run = [&](const auto& operation) {
        std::vector<T> running = before;
        std::vector<T> finished(window * rows, T(7));
        std::vector<int64_t> count{window + 1};
        for (int64_t t = 0; t < kSteps; ++t) {
            operation(rslcore::EpisodeArgs<T>{
                .num_envs = num_envs,
                .window = window,
                .rewards = rewards.data() + t * num_envs,
                .intrinsic = with_intrinsic ? intrinsic.data() + t * num_envs : nullptr,
                .dones = dones.data() + t * num_envs,
                .running = running.data(),
                .finished = finished.data(),
                .count = count.data(),
            });
        }
        return std::tuple(running, finished, count);
    };
    const auto [running, finished, count] =
        run([](const auto& args) { rslcore::episode_stats_cpu(args, check::serial); });
    const auto [emulated_running, emulated_finished, emulated_count] = check::emulate([&](void* stream) {
        return run([&](const auto& args) {
            std::vector<int64_t> scratch = check::garbage<int64_t>(rslcore::episode_scratch(num_envs));
            check::launched(rslcore::episode_stats_cuda(args, scratch.data(), stream));
        });
    });
    check::equal("running", emulated_running, running);
    check::equal("finished", emulated_finished, finished);
    check::equal("count", emulated_count, count);
}

}  // namespace

int main() {
    for (const int64_t num_envs : {0, 1, 31, 257, 1100}) {
        episode_stats<float>(num_envs, 20, 0.1, false);
    }
    episode_stats<float>(300, 20, 0.0, false);
    episode_stats<float>(300, 20, 1.0, true);
    episode_stats<double>(600, 1000, 0.5, true);
    episode_stats<double>(7, 1, 0.5, false);
    return check::done();
}
