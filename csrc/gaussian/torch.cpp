// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/abi.h"
#include "gaussian/gaussian.h"
#include "gaussian/launch.h"
#include "gaussian/overlap.h"
#include "gaussian/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "gaussian_sample";

void gaussian_sample(const Tensor& mean, const Tensor& std, const std::optional<Tensor>& noise, int64_t seed,
                     int64_t offset, const std::optional<Tensor>& counter, const Tensor& actions,
                     const Tensor& log_prob) {
    RSLCORE_CHECK(mean.dim() == 2, kOp, ": `mean` must be [B, A], got ", mean.dim(), " dimensions");
    const int64_t numel = mean.numel();
    RSLCORE_CHECK(numel <= kMaxGaussianElements, kOp, ": `mean` must have at most ", kMaxGaussianElements,
                  " elements, got ", numel);
    RSLCORE_CHECK(std.dim() == 1 || std.dim() == 2, kOp, ": `std` must be [A] or [B, A], got ", std.dim(),
                  " dimensions");
    const bool std_rows = std.dim() == 2;
    RSLCORE_CHECK(log_prob.dim() == 1 || (log_prob.dim() == 2 && log_prob.size(1) == 1), kOp,
                  ": `log_prob` must be [B] or [B, 1], got ", log_prob.dim(), " dimensions");
    RSLCORE_CHECK(!counter.has_value() || counter->dim() == 0, kOp, ": `offset` must be [], got dimensions");
    abi::dispatch_float(mean, kOp, "mean", [&]<typename T>() {
        const GaussianArgs<T> args{
            .rows = mean.size(0),
            .columns = mean.size(1),
            .mean = abi::input<T>(mean, kOp, "mean", numel, mean),
            .std = abi::input<T>(std, kOp, "std", std_rows ? numel : mean.size(1), mean),
            .std_rows = std_rows,
            .noise = abi::input<T>(noise, kOp, "noise", numel, mean),
            .seed = static_cast<uint64_t>(seed),
            .offset = static_cast<uint64_t>(offset),
            .counter = abi::input<int64_t>(counter, kOp, "offset", 1, mean),
            .actions = abi::output<T>(actions, kOp, "out[0]", numel, mean),
            .log_prob = abi::output<T>(log_prob, kOp, "out[1]", mean.size(0), mean),
        };
        if (std_rows) {
            abi::check_shape(std, kOp, "std", mean);
        }
        abi::check_shape(noise, kOp, "noise", mean);
        abi::check_shape(actions, kOp, "out[0]", mean);
        RSLCORE_CHECK(!gaussian_overlap(args), kOp,
                      ": `out` must share no memory with the other arguments or itself, got two that do");
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(mean);
        abi::check_cuda(gaussian_cuda<T>(args, device.stream()), kOp);
#else
        gaussian_cpu<T>(args, abi::parallel);
#endif
    });
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "gaussian_sample(Tensor mean, Tensor std, Tensor? noise, SymInt seed, SymInt offset, Tensor? "
        "counter, "
        "Tensor(a!) actions, Tensor(b!) log_prob) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("gaussian_sample", TORCH_BOX(&gaussian_sample));
}

}  // namespace
}  // namespace rslcore
