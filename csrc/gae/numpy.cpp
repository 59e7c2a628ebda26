// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "gae/run_cpu.h"

namespace rslcore {
namespace {

template <typename T>
void gae(arrays::In<T> rewards, arrays::In<T> values, arrays::In<uint8_t> dones, arrays::In<T> last_values,
         std::optional<arrays::In<uint8_t>> time_outs, std::optional<arrays::In<T>> terminal_values,
         double gamma, double lam, bool normalize, arrays::In<T> returns, arrays::In<T> advantages) {
    const GaeArgs<T> args{
        .num_steps = rewards.shape(0),
        .num_envs = rewards.shape(1),
        .gamma = static_cast<T>(gamma),
        .lam = static_cast<T>(lam),
        .rewards = rewards.data(),
        .values = values.data(),
        .dones = dones.data(),
        .last_values = last_values.data(),
        .time_outs = time_outs.has_value() ? time_outs->data() : nullptr,
        .bootstrap = terminal_values.has_value() ? terminal_values->data() : values.data(),
        .returns = returns.mutable_data(),
        .advantages = advantages.mutable_data(),
    };
    const py::gil_scoped_release release;
    gae_cpu<T>(args, normalize, parallel_for);
}

}  // namespace

void bind_gae(py::module_& m) {
    m.def("gae", &gae<float>);
    m.def("gae", &gae<double>);
}

}  // namespace rslcore
