// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "cart_pole/cart_pole.h"
#include "cart_pole/launch.h"
#include "cart_pole/overlap.h"
#include "cart_pole/run_cpu.h"
#include "common/abi.h"

namespace rslcore {
namespace {

using abi::Tensor;

struct Sizes {
    int64_t num_envs;
    int64_t num_poles;
};

Sizes check_sizes(const char* op, const Tensor& state, const Tensor& observations) {
    RSLCORE_CHECK(state.dim() == 3 && state.size(1) == kPoleStates, op,
                  ": `state` must be [P, 4, N], got other dimensions");
    const Sizes sizes{state.size(2), state.size(0)};
    RSLCORE_CHECK(sizes.num_poles > 0, op, ": `state` must be [P, 4, N] with P > 0, got none");
    RSLCORE_CHECK(sizes.num_envs <= kMaxCartPoles / sizes.num_poles, op, ": `state` must have at most ",
                  kMaxCartPoles, " poles, got ", sizes.num_poles, " in each of ", sizes.num_envs);
    RSLCORE_CHECK(observations.dim() == 2 && observations.size(0) == sizes.num_envs, op,
                  ": `observations` must be [", sizes.num_envs, ", ", kPoleStates * sizes.num_poles, "]");
    return sizes;
}

uint8_t* written_flags(const Tensor& x, const char* op, const char* name, int64_t numel, const Tensor& like) {
    abi::flags(x, op, name, numel, like);
    return static_cast<uint8_t*>(x.mutable_data_ptr());
}

void cart_pole_step(const Tensor& actions, const Tensor& state, const Tensor& episode_lengths,
                    const Tensor& episodes, const Tensor& ended, int64_t seed, int64_t max_episode_length,
                    const Tensor& observations, const Tensor& rewards, const Tensor& dones,
                    const Tensor& time_outs, const std::optional<Tensor>& final_observations) {
    constexpr const char* kOp = "cart_pole_step";
    const auto [num_envs, num_poles] = check_sizes(kOp, state, observations);
    RSLCORE_CHECK(actions.dim() == 2 && actions.size(0) == num_envs, kOp, ": `actions` must be [", num_envs,
                  ", ", num_poles, "]");
    RSLCORE_CHECK(max_episode_length > 0, kOp, ": `max_episode_length` must be at least 1, got ",
                  max_episode_length);
    abi::dispatch_float(state, kOp, "state", [&, num_envs = num_envs, num_poles = num_poles]<typename T>() {
        const int64_t numel = state.numel();
        const CartPoleArgs<T> args{
            .num_envs = num_envs,
            .num_poles = num_poles,
            .seed = static_cast<uint64_t>(seed),
            .max_episode_length = max_episode_length,
            .actions = abi::input<T>(actions, kOp, "actions", num_envs * num_poles, state),
            .state = abi::output<T>(state, kOp, "state", numel, state),
            .episode_lengths = abi::output<int64_t>(episode_lengths, kOp, "episode_lengths", num_envs, state),
            .episodes = abi::output<int64_t>(episodes, kOp, "episodes", num_envs, state),
            .ended = abi::output<int64_t>(ended, kOp, "ended", 2, state),
            .observations = abi::output<T>(observations, kOp, "out[0]", numel, state),
            .rewards = abi::output<T>(rewards, kOp, "out[1]", num_envs, state),
            .dones = written_flags(dones, kOp, "out[2]", num_envs, state),
            .time_outs = written_flags(time_outs, kOp, "out[3]", num_envs, state),
            .final_observations =
                final_observations.has_value()
                    ? abi::output<T>(*final_observations, kOp, "final_observations", numel, state)
                    : nullptr,
        };
        abi::check_shape(final_observations, kOp, "final_observations", observations);
        RSLCORE_CHECK(!cart_pole_overlap(args), kOp,
                      ": the arguments must share no memory with each other, got two that do");
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(state);
        abi::check_cuda(cart_pole_step_cuda<T>(args, device.stream()), kOp);
#else
        cart_pole_step_cpu<T>(args, abi::parallel);
#endif
    });
}

void cart_pole_reset(const Tensor& state, const Tensor& episode_lengths, const Tensor& episodes, int64_t seed,
                     const Tensor& observations) {
    constexpr const char* kOp = "cart_pole_reset";
    const auto [num_envs, num_poles] = check_sizes(kOp, state, observations);
    abi::dispatch_float(state, kOp, "state", [&, num_envs = num_envs, num_poles = num_poles]<typename T>() {
        const CartPoleResetArgs<T> args{
            .num_envs = num_envs,
            .num_poles = num_poles,
            .seed = static_cast<uint64_t>(seed),
            .state = abi::output<T>(state, kOp, "state", state.numel(), state),
            .episode_lengths = abi::output<int64_t>(episode_lengths, kOp, "episode_lengths", num_envs, state),
            .episodes = abi::output<int64_t>(episodes, kOp, "episodes", num_envs, state),
            .observations = abi::output<T>(observations, kOp, "out", state.numel(), state),
        };
        RSLCORE_CHECK(!cart_pole_overlap(args), kOp,
                      ": the arguments must share no memory with each other, got two that do");
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(state);
        abi::check_cuda(cart_pole_reset_cuda<T>(args, device.stream()), kOp);
#else
        cart_pole_reset_cpu<T>(args, abi::parallel);
#endif
    });
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "cart_pole_step(Tensor actions, Tensor(a!) state, Tensor(b!) episode_lengths, Tensor(c!) episodes, "
        "Tensor(d!) ended, SymInt seed, SymInt max_episode_length, Tensor(e!) observations, Tensor(f!) "
        "rewards, Tensor(g!) dones, Tensor(h!) time_outs, Tensor(i!)? final_observations) -> ()");
    m.def(
        "cart_pole_reset(Tensor(a!) state, Tensor(b!) episode_lengths, Tensor(c!) episodes, SymInt seed, "
        "Tensor(d!) observations) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("cart_pole_step", TORCH_BOX(&cart_pole_step));
    m.impl("cart_pole_reset", TORCH_BOX(&cart_pole_reset));
}

}  // namespace
}  // namespace rslcore
