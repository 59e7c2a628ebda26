// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/abi.h"
#include "episode_stats/episode_stats.h"
#include "episode_stats/launch.h"
#include "episode_stats/overlap.h"
#include "episode_stats/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "episode_stats";

void check_per_env(const Tensor& x, const char* name) {
    RSLCORE_CHECK(x.dim() == 1 || (x.dim() == 2 && x.size(1) == 1), kOp, ": `", name,
                  "` must be [N] or [N, 1], got ", x.dim(), " dimensions");
}

void episode_stats(const Tensor& rewards, const std::optional<Tensor>& intrinsic_rewards, const Tensor& dones,
                   const Tensor& running, const Tensor& finished, const Tensor& count) {
    check_per_env(rewards, "rewards");
    check_per_env(dones, "dones");
    if (intrinsic_rewards.has_value()) {
        check_per_env(*intrinsic_rewards, "intrinsic_rewards");
    }
    RSLCORE_CHECK(count.dim() == 0, kOp, ": `count` must be [], got ", count.dim(), " dimensions");
    const int64_t num_envs = rewards.numel();
    const int64_t rows = episode_rows(intrinsic_rewards.has_value());
    RSLCORE_CHECK(finished.dim() == 2 && finished.size(0) > 0 && finished.size(1) == rows, kOp,
                  ": `finished` must be [W, ", rows, "], W > 0");
    RSLCORE_CHECK(running.dim() == 2 && running.size(0) == rows, kOp, ": `running` must be [", rows, ", N]");
    abi::dispatch_float(rewards, kOp, "rewards", [&]<typename T>() {
        const EpisodeArgs<T> args{
            .num_envs = num_envs,
            .window = finished.size(0),
            .rewards = abi::input<T>(rewards, kOp, "rewards", num_envs, rewards),
            .intrinsic = abi::input<T>(intrinsic_rewards, kOp, "intrinsic_rewards", num_envs, rewards),
            .dones = abi::flags(dones, kOp, "dones", num_envs, rewards),
            .running = abi::output<T>(running, kOp, "running", rows * num_envs, rewards),
            .finished = abi::output<T>(finished, kOp, "finished", finished.numel(), rewards),
            .count = abi::output<int64_t>(count, kOp, "count", 1, rewards),
        };
        RSLCORE_CHECK(!episode_overlap(args), kOp,
                      ": `running`, `finished` and `count` must share no memory with another argument, "
                      "got two that do");
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(rewards);
        const Tensor scratch = abi::scratch(rewards, abi::ScalarType::Long, episode_scratch(num_envs));
        int64_t* const data = static_cast<int64_t*>(scratch.mutable_data_ptr());
        abi::check_cuda(episode_stats_cuda<T>(args, data, device.stream()), kOp);
#else
        RSLCORE_CHECK(*args.count >= 0, kOp, ": `count` must be >= 0, got ", *args.count);
        episode_stats_cpu<T>(args, abi::parallel);
#endif
    });
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "episode_stats(Tensor rewards, Tensor? intrinsic_rewards, Tensor dones, Tensor(a!) running, "
        "Tensor(b!) finished, Tensor(c!) count) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("episode_stats", TORCH_BOX(&episode_stats));
}

}  // namespace
}  // namespace rslcore
