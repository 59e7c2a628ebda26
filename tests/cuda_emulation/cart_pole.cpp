// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "cart_pole/run_cpu.h"

#include "check.h"

namespace {

// Everything that the operators write.
template <typename T>
struct World {
    std::vector<T> state;
    std::vector<int64_t> lengths;
    std::vector<int64_t> episodes;
    std::vector<int64_t> ended;
    std::vector<T> observations;
    std::vector<T> rewards;
    std::vector<uint8_t> dones;
    std::vector<uint8_t> time_outs;
    std::vector<T> final_observations;

    auto tuple() const {
        return std::tuple(state, lengths, episodes, ended, observations, rewards, dones, time_outs,
                          final_observations);
    }
};

template <typename T>
void cart_pole(int64_t num_envs, int64_t num_poles, bool with_final) {
    check::begin("cart_pole: N " + std::to_string(num_envs) + " P " + std::to_string(num_poles) +
                 (with_final ? " final observations" : "") + (sizeof(T) == 4 ? " float" : " double"));
    check::Random random(num_envs * 1009 + num_poles);
    constexpr int64_t kSteps = 12;
    constexpr int64_t kSeed = -3;
    const std::vector<T> actions = check::normal<T>(random, kSteps * num_envs * num_poles, 0.8);
    const auto run = [&](const auto& reset, const auto& step) {
        const int64_t numel = 4 * num_envs * num_poles;
        World<T> world{
            .state = check::garbage<T>(numel),
            .lengths = check::garbage<int64_t>(num_envs),
            .episodes = std::vector<int64_t>(num_envs, 5),
            .ended = {1, 2},
            .observations = check::garbage<T>(numel),
            .rewards = check::garbage<T>(num_envs),
            .dones = check::garbage<uint8_t>(num_envs),
            .time_outs = check::garbage<uint8_t>(num_envs),
            .final_observations = std::vector<T>(with_final ? numel : 0, T(7)),
        };
        reset(rslcore::CartPoleResetArgs<T>{
            .num_envs = num_envs,
            .num_poles = num_poles,
            .seed = static_cast<uint64_t>(kSeed),
            .state = world.state.data(),
            .episode_lengths = world.lengths.data(),
            .episodes = world.episodes.data(),
            .observations = world.observations.data(),
        });
        for (int64_t n = 0; n < num_envs; n += 3) {
            world.lengths[n] = n % 7;  // some episodes reach the time limit
        }
        for (int64_t t = 0; t < kSteps; ++t) {
            step(rslcore::CartPoleArgs<T>{
                .num_envs = num_envs,
                .num_poles = num_poles,
                .seed = static_cast<uint64_t>(kSeed),
                .max_episode_length = 10,
                .actions = actions.data() + t * num_envs * num_poles,
                .state = world.state.data(),
                .episode_lengths = world.lengths.data(),
                .episodes = world.episodes.data(),
                .ended = world.ended.data(),
                .observations = world.observations.data(),
                .rewards = world.rewards.data(),
                .dones = world.dones.data(),
                .time_outs = world.time_outs.data(),
                .final_observations = with_final ? world.final_observations.data() : nullptr,
            });
        }
        return world.tuple();
    };
    const auto expected = run([](const auto& args) { rslcore::cart_pole_reset_cpu(args, check::serial); },
                              [](const auto& args) { rslcore::cart_pole_step_cpu(args, check::serial); });
    const auto emulated = check::emulate([&](void* stream) {
        return run([&](const auto& args) { check::launched(rslcore::cart_pole_reset_cuda(args, stream)); },
                   [&](const auto& args) { check::launched(rslcore::cart_pole_step_cuda(args, stream)); });
    });
    check::equal("state", std::get<0>(emulated), std::get<0>(expected));
    check::equal("lengths", std::get<1>(emulated), std::get<1>(expected));
    check::equal("episodes", std::get<2>(emulated), std::get<2>(expected));
    check::equal("ended", std::get<3>(emulated), std::get<3>(expected));
    check::equal("observations", std::get<4>(emulated), std::get<4>(expected));
    check::equal("rewards", std::get<5>(emulated), std::get<5>(expected));
    check::equal("dones", std::get<6>(emulated), std::get<6>(expected));
    check::equal("time_outs", std::get<7>(emulated), std::get<7>(expected));
    check::equal("final_observations", std::get<8>(emulated), std::get<8>(expected));
}

}  // namespace

int main() {
    for (const int64_t num_envs : {0, 1, 31, 129, 1000}) {
        cart_pole<float>(num_envs, 1, num_envs % 2 == 1);
    }
    cart_pole<float>(130, 12, true);
    cart_pole<double>(257, 3, true);
    cart_pole<double>(40, 1, false);
    return check::done();
}
