// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/abi.h"
#include "gae/launch.h"
#include "gae/overlap.h"
#include "gae/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "gae";

void gae(const Tensor& rewards, const Tensor& values, const Tensor& dones, const Tensor& last_values,
         const std::optional<Tensor>& time_outs, const std::optional<Tensor>& terminal_values, double gamma,
         double lam, bool normalize, const Tensor& returns, const Tensor& advantages) {
    RSLCORE_CHECK(rewards.dim() == 2 || (rewards.dim() == 3 && rewards.size(2) == 1), kOp,
                  ": `rewards` must be [T, N] or [T, N, 1], got ", rewards.dim(), " dimensions");
    RSLCORE_CHECK(last_values.dim() == 1 || (last_values.dim() == 2 && last_values.size(1) == 1), kOp,
                  ": `last_values` must be [N] or [N, 1], got ", last_values.dim(), " dimensions");
    RSLCORE_CHECK(!terminal_values.has_value() || time_outs.has_value(), kOp,
                  ": `terminal_values` needs `time_outs`");
    RSLCORE_CHECK(!normalize || rewards.numel() != 1, kOp,
                  ": `rewards` must have two samples at least to normalize their advantages, got one");
    abi::dispatch_float(rewards, kOp, "rewards", [&]<typename T>() {
        const int64_t numel = rewards.numel();
        const int64_t num_envs = rewards.size(1);
        const GaeArgs<T> args{
            .num_steps = rewards.size(0),
            .num_envs = num_envs,
            .gamma = static_cast<T>(gamma),
            .lam = static_cast<T>(lam),
            .rewards = abi::input<T>(rewards, kOp, "rewards", numel, rewards),
            .values = abi::input<T>(values, kOp, "values", numel, rewards),
            .dones = abi::flags(dones, kOp, "dones", numel, rewards),
            .last_values = abi::input<T>(last_values, kOp, "last_values", num_envs, rewards),
            .time_outs = abi::flags(time_outs, kOp, "time_outs", numel, rewards),
            .bootstrap = abi::input<T>(terminal_values.has_value() ? *terminal_values : values, kOp,
                                       "terminal_values", numel, rewards),
            .returns = abi::output<T>(returns, kOp, "returns", numel, rewards),
            .advantages = abi::output<T>(advantages, kOp, "advantages", numel, rewards),
        };
        abi::check_shape(values, kOp, "values", rewards);
        abi::check_shape(dones, kOp, "dones", rewards);
        abi::check_shape(time_outs, kOp, "time_outs", rewards);
        abi::check_shape(terminal_values, kOp, "terminal_values", rewards);
        abi::check_shape(returns, kOp, "returns", rewards);
        abi::check_shape(advantages, kOp, "advantages", rewards);
        const char* const shared = gae_overlap(args);
        RSLCORE_CHECK(shared == nullptr, kOp, ": `out` must share no memory with the inputs or itself, got ",
                      shared, " that do");
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(rewards);
        std::optional<Tensor> scratch;
        if (normalize) {
            scratch = abi::scratch(rewards, abi::ScalarType::Double, gae_scratch_doubles(num_envs));
        }
        double* const data =
            scratch.has_value() ? static_cast<double*>(scratch->mutable_data_ptr()) : nullptr;
        abi::check_cuda(gae_cuda<T>(args, normalize, data, device.stream()), kOp);
#else
        gae_cpu<T>(args, normalize, abi::parallel);
#endif
    });
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "gae(Tensor rewards, Tensor values, Tensor dones, Tensor last_values, Tensor? time_outs, "
        "Tensor? terminal_values, float gamma, float lam, bool normalize, Tensor(a!) returns, Tensor(b!) "
        "advantages) "
        "-> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("gae", TORCH_BOX(&gae));
}

}  // namespace
}  // namespace rslcore
