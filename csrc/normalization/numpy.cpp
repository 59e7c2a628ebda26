// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "normalization/overlap.h"
#include "normalization/run_cpu.h"

namespace rslcore {
namespace {

template <typename T>
void update_and_normalize(arrays::In<T> x, arrays::In<T> mean, arrays::In<T> var, arrays::In<int64_t> count,
                          double eps, std::optional<int64_t> until, arrays::In<T> out) {
    constexpr const char* kOp = "update_and_normalize";
    arrays::check_dims(x, kOp, "x", 2);
    arrays::check_size(mean, kOp, "mean", x.shape(1));
    arrays::check_size(var, kOp, "var", x.shape(1));
    arrays::check_size(count, kOp, "count", 1);
    arrays::check_size(out, kOp, "out", x.size());
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
    if (moments_overlap(moments)) {
        throw py::value_error(
            "update_and_normalize: `x`, `mean`, `var` and `count` must share no memory, got two that do");
    }
    if (normalize_overlap(rows)) {
        throw py::value_error(
            "update_and_normalize: `out` must be `x` itself or share no memory with the other arguments, "
            "got an overlap");
    }
    const py::gil_scoped_release release;
    update_moments_cpu<T>(moments, parallel_for);
    normalize_cpu<T>(rows, parallel_for);
}

template <typename T>
void bind(py::module_& m) {
    m.def("update_and_normalize", &update_and_normalize<T>, py::arg("x").noconvert(),
          py::arg("mean").noconvert(), py::arg("var").noconvert(), py::arg("count").noconvert(),
          py::arg("eps"), py::arg("until").none(true), py::arg("out").noconvert());
}

}  // namespace

void bind_normalization(py::module_& m) {
    bind<float>(m);
    bind<double>(m);
}

}  // namespace rslcore
