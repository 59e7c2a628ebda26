// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "episode_stats/overlap.h"
#include "episode_stats/run_cpu.h"

namespace rslcore {
namespace {

template <typename T>
void episode_stats(arrays::In<T> rewards, std::optional<arrays::In<T>> intrinsic_rewards,
                   arrays::In<uint8_t> dones, arrays::In<T> running, arrays::In<T> finished,
                   arrays::In<int64_t> count) {
    constexpr const char* kOp = "episode_stats";
    const int64_t num_envs = rewards.size();
    const int64_t rows = episode_rows(intrinsic_rewards.has_value());
    if (intrinsic_rewards.has_value()) {
        arrays::check_size(*intrinsic_rewards, kOp, "intrinsic_rewards", num_envs);
    }
    arrays::check_size(dones, kOp, "dones", num_envs);
    arrays::check_size(running, kOp, "running", rows * num_envs);
    arrays::check_dims(finished, kOp, "finished", 2);
    if (finished.shape(0) == 0 || finished.shape(1) != rows) {
        throw py::value_error("episode_stats: `finished` must have at least one row of " +
                              std::to_string(rows) + " elements");
    }
    arrays::check_size(count, kOp, "count", 1);
    const EpisodeArgs<T> args{
        .num_envs = num_envs,
        .window = finished.shape(0),
        .rewards = rewards.data(),
        .intrinsic = intrinsic_rewards.has_value() ? intrinsic_rewards->data() : nullptr,
        .dones = dones.data(),
        .running = running.mutable_data(),
        .finished = finished.mutable_data(),
        .count = count.mutable_data(),
    };
    if (episode_overlap(args)) {
        throw py::value_error(
            "episode_stats: `running`, `finished` and `count` must share no memory with another argument, "
            "got two that do");
    }
    if (*args.count < 0) {
        throw py::value_error("episode_stats: `count` must be >= 0, got " + std::to_string(*args.count));
    }
    const py::gil_scoped_release release;
    episode_stats_cpu<T>(args, parallel_for);
}

template <typename T>
void bind(py::module_& m) {
    m.def("episode_stats", &episode_stats<T>, py::arg("rewards").noconvert(),
          py::arg("intrinsic_rewards").noconvert(), py::arg("dones").noconvert(),
          py::arg("running").noconvert(), py::arg("finished").noconvert(), py::arg("count").noconvert());
}

}  // namespace

void bind_episode_stats(py::module_& m) {
    bind<float>(m);
    bind<double>(m);
}

}  // namespace rslcore
