// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <string>
#include <vector>

#include "adam/run_cpu.h"
#include "common/abi.h"
#include "common/overlap.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "clip_adam";

// The data of element `i` of a list, of which message texts are made only where they are needed.
template <typename T>
T* target(const std::vector<Tensor>& list, const char* name, size_t i, int64_t numel,
          std::vector<MemoryRange>& memory) {
    const Tensor& x = list[i];
    const bool fits = x.scalar_type() == abi::scalar_type_of<T>() && x.numel() == numel &&
                      x.is_contiguous() && !x.is_cuda();
    if (!fits) {
        std::string label = name;
        label.append("[").append(std::to_string(i)).append("]");
        abi::check_buffer(x, kOp, label.c_str(), abi::scalar_type_of<T>(), numel, list[i]);
        RSLCORE_CHECK(!x.is_cuda(), kOp, ": `", name, "[", i, "]` must be on cpu, got another device");
    }
    T* const data = static_cast<T*>(x.mutable_data_ptr());
    memory.push_back(
        memory_range(data, numel * static_cast<int64_t>(sizeof(T)), static_cast<int64_t>(memory.size())));
    return data;
}

template <typename T>
void run(const std::vector<Tensor>& params, const std::vector<Tensor>& grads,
         const std::vector<Tensor>& exp_avgs, const std::vector<Tensor>& exp_avg_sqs,
         const std::vector<Tensor>& steps, const std::vector<int64_t>& group_sizes,
         std::optional<double> max_norm, const AdamHyperparameters& adam, const Tensor& norms) {
    std::vector<AdamTensor<T>> tensors(params.size());
    std::vector<MemoryRange> memory;
    memory.reserve(5 * params.size());
    size_t end = 0;
    size_t i = 0;
    for (size_t group = 0; group < group_sizes.size(); ++group) {
        RSLCORE_CHECK(group_sizes[group] >= 0, kOp, ": `group_sizes` must not be negative, got ",
                      group_sizes[group]);
        end += static_cast<size_t>(group_sizes[group]);
        for (; i < end && i < params.size(); ++i) {
            const int64_t numel = params[i].numel();
            tensors[i] = {
                .numel = numel,
                .group = static_cast<int64_t>(group),
                .param = target<T>(params, "params", i, numel, memory),
                .grad = target<T>(grads, "grads", i, numel, memory),
                .exp_avg = target<T>(exp_avgs, "exp_avgs", i, numel, memory),
                .exp_avg_sq = target<T>(exp_avg_sqs, "exp_avg_sqs", i, numel, memory),
                .step = target<float>(steps, "steps", i, 1, memory),
                .settings = {},
            };
        }
    }
    RSLCORE_CHECK(end == params.size(), kOp, ": `group_sizes` must add up to ", params.size(), ", got ", end);
    const int64_t groups = static_cast<int64_t>(group_sizes.size());
    T* const norms_data = abi::output<T>(norms, kOp, "norms", groups, norms);
    RSLCORE_CHECK(overlapping_target(memory) < 0, kOp, ": the tensors must share no memory, got two that do");
    clip_adam_cpu<T>(tensors, groups, max_norm.has_value() ? &*max_norm : nullptr, adam, norms_data,
                     abi::parallel);
}

void clip_adam(const std::vector<Tensor>& params, const std::vector<Tensor>& grads,
               const std::vector<Tensor>& exp_avgs, const std::vector<Tensor>& exp_avg_sqs,
               const std::vector<Tensor>& steps, const std::vector<int64_t>& group_sizes,
               std::optional<double> max_norm, double lr, double beta1, double beta2, double eps,
               double weight_decay, bool decoupled, const Tensor& norms) {
    const size_t count = params.size();
    RSLCORE_CHECK(grads.size() == count && exp_avgs.size() == count && exp_avg_sqs.size() == count &&
                      steps.size() == count,
                  kOp, ": all lists must be as long as `params`, got others than ", count);
    const AdamHyperparameters adam{lr, beta1, beta2, eps, weight_decay, decoupled};
    abi::dispatch_float(norms, kOp, "norms", [&]<typename T>() {
        run<T>(params, grads, exp_avgs, exp_avg_sqs, steps, group_sizes, max_norm, adam, norms);
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
