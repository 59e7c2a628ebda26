// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "gae/run_cpu.h"

#include "check.h"

namespace {

template <typename T>
void run(int64_t num_steps, int64_t num_envs, bool time_outs, bool terminal_values, bool normalize) {
    check::begin("gae: " + std::to_string(num_steps) + " x " + std::to_string(num_envs) +
                 (sizeof(T) == 4 ? " float" : " double") + (time_outs ? " time_outs" : "") +
                 (terminal_values ? " terminal_values" : "") + (normalize ? " normalize" : ""));
    check::Random random(num_steps * 10007 + num_envs);
    const int64_t numel = num_steps * num_envs;
    const std::vector<T> rewards = check::normal<T>(random, numel);
    const std::vector<T> values = check::normal<T>(random, numel);
    const std::vector<uint8_t> dones = check::flags(random, numel, 0.2);
    const std::vector<T> last_values = check::normal<T>(random, num_envs);
    const std::vector<uint8_t> cuts = check::flags(random, numel, 0.1);
    const std::vector<T> terminal = check::normal<T>(random, numel);
    rslcore::GaeArgs<T> args{
        .num_steps = num_steps,
        .num_envs = num_envs,
        .gamma = T(0.99),
        .lam = T(0.95),
        .rewards = rewards.data(),
        .values = values.data(),
        .dones = dones.data(),
        .last_values = last_values.data(),
        .time_outs = time_outs ? cuts.data() : nullptr,
        .bootstrap = terminal_values ? terminal.data() : values.data(),
        .returns = nullptr,
        .advantages = nullptr,
    };

    std::vector<T> returns = check::garbage<T>(numel);
    std::vector<T> advantages = check::garbage<T>(numel);
    args.returns = returns.data();
    args.advantages = advantages.data();
    rslcore::gae_cpu<T>(args, normalize, check::serial);

    const auto [emulated_returns, emulated_advantages] = check::emulate([&](void* stream) {
        std::vector<T> out_returns = check::garbage<T>(numel);
        std::vector<T> out_advantages = check::garbage<T>(numel);
        std::vector<double> scratch =
            check::garbage<double>(normalize ? rslcore::gae_scratch_doubles(num_envs) : 0);
        args.returns = out_returns.data();
        args.advantages = out_advantages.data();
        check::launched(rslcore::gae_cuda<T>(args, normalize, scratch.data(), stream));
        return std::tuple(out_returns, out_advantages);
    });
    check::equal("returns", emulated_returns, returns);
    check::equal("advantages", emulated_advantages, advantages);
}

}  // namespace

int main() {
    for (const auto& [steps, envs] : std::vector<std::pair<int, int>>{{0, 5},
                                                                      {5, 0},
                                                                      {1, 1},
                                                                      {2, 1},
                                                                      {1, 2},
                                                                      {24, 3},
                                                                      {3, 127},
                                                                      {3, 128},
                                                                      {3, 129},
                                                                      {2, 257},
                                                                      {5, 389}}) {
        for (const bool normalize : {false, true}) {
            run<float>(steps, envs, false, false, normalize);
            run<double>(steps, envs, true, false, normalize);
            run<float>(steps, envs, true, true, normalize);
        }
    }
    return check::done();
}
