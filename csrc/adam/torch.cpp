// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <vector>

#include "adam/arguments.h"
#include "adam/run_cpu.h"
#include "common/abi.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "clip_adam";

void clip_adam(const std::vector<Tensor>& params, const std::vector<Tensor>& grads,
               const std::vector<Tensor>& exp_avgs, const std::vector<Tensor>& exp_avg_sqs,
               const std::vector<Tensor>& steps, const std::vector<int64_t>& group_sizes,
               std::optional<double> max_norm, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool decoupled, const Tensor& norms) {
    const AdamHyperparameters adam{lr, beta1, beta2, eps, weight_decay, decoupled};
    abi::dispatch_float(norms, kOp, "norms", [&]<typename T>() {
        std::vector<AdamTensor<T>> tensors =
            adam_tensors<T>(kOp, {params, grads, exp_avgs, exp_avg_sqs, steps}, group_sizes);
        const int64_t groups = static_cast<int64_t>(group_sizes.size());
        clip_adam_cpu<T>(tensors, groups, max_norm.has_value() ? &*max_norm : nullptr, adam,
                         abi::output<T>(norms, kOp, "norms", groups, norms), abi::parallel);
    });
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "clip_adam(Tensor(a!)[] params, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, "
        "Tensor(e!)[] steps, int[] group_sizes, float? max_norm, float lr, float beta1, float beta2, float "
        "eps, "
        "float weight_decay, bool decoupled, Tensor(f!) norms) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("clip_adam", TORCH_BOX(&clip_adam));
}

}  // namespace
}  // namespace rslcore
