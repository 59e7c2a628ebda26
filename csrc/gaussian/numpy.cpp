// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "gaussian/gaussian.h"
#include "gaussian/overlap.h"
#include "gaussian/run_cpu.h"

namespace rslcore {
namespace {

template <typename T>
void gaussian_sample(arrays::In<T> mean, arrays::In<T> std, std::optional<arrays::In<T>> noise, int64_t seed,
                     int64_t offset, arrays::In<T> actions, arrays::In<T> log_prob) {
    constexpr const char* kOp = "gaussian_sample";
    arrays::check_dims(mean, kOp, "mean", 2);
    if (mean.size() > kMaxGaussianElements) {
        throw py::value_error("gaussian_sample: `mean` must have at most 2^34 elements, got " +
                              std::to_string(mean.size()));
    }
    const bool std_rows = std.ndim() == 2;
    arrays::check_size(std, kOp, "std", std_rows ? mean.size() : mean.shape(1));
    if (noise.has_value()) {
        arrays::check_size(*noise, kOp, "noise", mean.size());
    }
    arrays::check_size(actions, kOp, "actions", mean.size());
    arrays::check_size(log_prob, kOp, "log_prob", mean.shape(0));
    const GaussianArgs<T> args{
        .rows = mean.shape(0),
        .columns = mean.shape(1),
        .mean = mean.data(),
        .std = std.data(),
        .std_rows = std_rows,
        .noise = noise.has_value() ? noise->data() : nullptr,
        .seed = static_cast<uint64_t>(seed),
        .offset = static_cast<uint64_t>(offset),
        .counter = nullptr,
        .actions = actions.mutable_data(),
        .log_prob = log_prob.mutable_data(),
    };
    if (gaussian_overlap(args)) {
        throw py::value_error(
            "gaussian_sample: `out` must share no memory with the other arguments or itself, got two that "
            "do");
    }
    const py::gil_scoped_release release;
    gaussian_cpu<T>(args, parallel_for);
}

template <typename T>
void bind(py::module_& m) {
    m.def("gaussian_sample", &gaussian_sample<T>, py::arg("mean").noconvert(), py::arg("std").noconvert(),
          py::arg("noise").noconvert(), py::arg("seed"), py::arg("offset"), py::arg("actions").noconvert(),
          py::arg("log_prob").noconvert());
}

}  // namespace

void bind_gaussian(py::module_& m) {
    bind<float>(m);
    bind<double>(m);
}

}  // namespace rslcore
