// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "normalization/run_cpu.h"

namespace rslcore {
namespace {

template <typename T>
void update_and_normalize(arrays::In<T> x, arrays::In<T> mean, arrays::In<T> var, arrays::In<int64_t> count,
                          double eps, std::optional<int64_t> until, arrays::In<T> out) {
    const MomentsArgs<T> moments{
        .rows = x.shape(0),
        .columns = x.shape(1),
        .x = x.data(),
        .mean = mean.mutable_data(),
        .var = var.mutable_data(),
        .count = count.mutable_data(),
        .until = until.value_or(kNoUntil),
    };
    const NormalizeArgs<T> rows{
        .rows = moments.rows,
        .columns = moments.columns,
        .x = moments.x,
        .mean = moments.mean,
        .var = moments.var,
        .eps = static_cast<T>(eps),
        .out = out.mutable_data(),
    };
    const py::gil_scoped_release release;
    update_moments_cpu<T>(moments, parallel_for);
    normalize_cpu<T>(rows, parallel_for);
}

}  // namespace

void bind_normalization(py::module_& m) {
    m.def("update_and_normalize", &update_and_normalize<float>);
    m.def("update_and_normalize", &update_and_normalize<double>);
}

}  // namespace rslcore
