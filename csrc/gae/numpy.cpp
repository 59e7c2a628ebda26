// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "gae/overlap.h"
#include "gae/run_cpu.h"

namespace rslcore {
namespace {

template <typename T>
void gae(arrays::In<T> rewards, arrays::In<T> values, arrays::In<uint8_t> dones, arrays::In<T> last_values,
         std::optional<arrays::In<uint8_t>> time_outs, std::optional<arrays::In<T>> terminal_values,
         double gamma, double lam, bool normalize, arrays::In<T> returns, arrays::In<T> advantages) {
    constexpr const char* kOp = "gae";
    arrays::check_dims(rewards, kOp, "rewards", 2);
    const int64_t numel = rewards.size();
    arrays::check_size(values, kOp, "values", numel);
    arrays::check_size(dones, kOp, "dones", numel);
    arrays::check_size(last_values, kOp, "last_values", rewards.shape(1));
    if (time_outs.has_value()) {
        arrays::check_size(*time_outs, kOp, "time_outs", numel);
    }
    if (terminal_values.has_value()) {
        arrays::check_size(*terminal_values, kOp, "terminal_values", numel);
    }
    arrays::check_size(returns, kOp, "returns", numel);
    arrays::check_size(advantages, kOp, "advantages", numel);
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
    if (const char* const shared = gae_overlap(args)) {
        throw py::value_error(std::string("gae: `out` must share no memory with the inputs or itself, got ") +
                              shared + " that do");
    }
    const py::gil_scoped_release release;
    gae_cpu<T>(args, normalize, parallel_for);
}

template <typename T>
void bind(py::module_& m) {
    m.def("gae", &gae<T>, py::arg("rewards").noconvert(), py::arg("values").noconvert(),
          py::arg("dones").noconvert(), py::arg("last_values").noconvert(), py::arg("time_outs").noconvert(),
          py::arg("terminal_values").noconvert(), py::arg("gamma"), py::arg("lam"), py::arg("normalize"),
          py::arg("returns").noconvert(), py::arg("advantages").noconvert());
}

}  // namespace

void bind_gae(py::module_& m) {
    bind<float>(m);
    bind<double>(m);
}

}  // namespace rslcore
