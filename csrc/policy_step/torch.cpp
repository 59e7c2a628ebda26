// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <vector>

#include "common/abi.h"
#include "common/overlap.h"
#include "gaussian/gaussian.h"
#include "policy_step/launch.h"
#include "policy_step/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "policy_step";

// A network with its tables, and the memory that it reads.
struct Tables {
    std::vector<const float*> groups;
    std::vector<int64_t> widths;
    std::vector<const float*> weights;
    std::vector<const float*> biases;
    std::vector<int64_t> sizes;
};

// `layers` are weight and bias of every layer, in turns. Appends what is read to `memory`.
PolicyNetwork network_of(Tables& tables, const char* name, const std::vector<Tensor>& obs,
                         const std::optional<Tensor>& mean, const std::optional<Tensor>& var, double eps,
                         const std::vector<Tensor>& layers, int64_t activation, const Tensor& like,
                         std::vector<MemoryRange>& memory) {
    const auto read = [&](const Tensor& x, int64_t numel) {
        const float* const data = abi::input<float>(x, kOp, name, numel, like);
        memory.push_back(memory_range(data, numel * static_cast<int64_t>(sizeof(float)), -1));
        return data;
    };
    RSLCORE_CHECK(!layers.empty() && layers.size() % 2 == 0, kOp, ": `", name,
                  "` must have weight and bias of every layer, got ", layers.size(), " tensors");
    RSLCORE_CHECK(activation >= 0 && activation < kActivations, kOp, ": `", name,
                  "` must have an activation below ", kActivations, ", got ", activation);
    int64_t width = 0;
    for (const Tensor& group : obs) {
        RSLCORE_CHECK(group.dim() == 2 && group.size(0) == like.size(0), kOp, ": observations of `", name,
                      "` must be [", like.size(0), ", D]");
        tables.groups.push_back(read(group, group.numel()));
        tables.widths.push_back(group.size(1));
        width += group.size(1);
    }
    tables.sizes.push_back(width);
    for (size_t l = 0; l < layers.size(); l += 2) {
        const Tensor& weight = layers[l];
        RSLCORE_CHECK(weight.dim() == 2 && weight.size(0) > 0 && weight.size(1) == tables.sizes.back(), kOp,
                      ": weight of layer ", l / 2, " of `", name, "` must be [out, ", tables.sizes.back(),
                      "]");
        tables.weights.push_back(read(weight, weight.numel()));
        tables.biases.push_back(read(layers[l + 1], weight.size(0)));
        tables.sizes.push_back(weight.size(0));
    }
    RSLCORE_CHECK(mean.has_value() == var.has_value(), kOp, ": `", name, "` must have both mean and var");
    return {
        .num_groups = static_cast<int64_t>(obs.size()),
        .groups = tables.groups.data(),
        .widths = tables.widths.data(),
        .mean = mean.has_value() ? read(*mean, width) : nullptr,
        .var = var.has_value() ? read(*var, width) : nullptr,
        .eps = static_cast<float>(eps),
        .num_layers = static_cast<int64_t>(tables.weights.size()),
        .weights = tables.weights.data(),
        .biases = tables.biases.data(),
        .sizes = tables.sizes.data(),
        .activation = static_cast<Activation>(activation),
        .output = nullptr,
    };
}

void policy_step(const std::vector<Tensor>& actor_obs, const std::optional<Tensor>& actor_mean,
                 const std::optional<Tensor>& actor_var, double actor_eps,
                 const std::vector<Tensor>& actor_layers, int64_t actor_activation,
                 const std::vector<Tensor>& critic_obs, const std::optional<Tensor>& critic_mean,
                 const std::optional<Tensor>& critic_var, double critic_eps,
                 const std::vector<Tensor>& critic_layers, int64_t critic_activation, const Tensor& std,
                 int64_t seed, int64_t offset, const Tensor& mean, const Tensor& std_rows,
                 const Tensor& actions, const Tensor& log_prob, const Tensor& values) {
    RSLCORE_CHECK(mean.dim() == 2, kOp, ": `mean` must be [B, A], got ", mean.dim(), " dimensions");
    const int64_t rows = mean.size(0);
    const int64_t numel = mean.numel();
    RSLCORE_CHECK(numel <= kMaxGaussianElements, kOp, ": `mean` must have at most ", kMaxGaussianElements,
                  " elements, got ", numel);
    std::vector<MemoryRange> memory;
    Tables actor_tables;
    Tables critic_tables;
    PolicyStepArgs args{
        .rows = rows,
        .actor = network_of(actor_tables, "actor", actor_obs, actor_mean, actor_var, actor_eps, actor_layers,
                            actor_activation, mean, memory),
        .critic = network_of(critic_tables, "critic", critic_obs, critic_mean, critic_var, critic_eps,
                             critic_layers, critic_activation, mean, memory),
        .std = abi::input<float>(std, kOp, "std", mean.size(1), mean),
        .seed = static_cast<uint64_t>(seed),
        .offset = static_cast<uint64_t>(offset),
        .std_rows = abi::output<float>(std_rows, kOp, "out.std", numel, mean),
        .actions = abi::output<float>(actions, kOp, "out.actions", numel, mean),
        .log_prob = abi::output<float>(log_prob, kOp, "out.log_prob", rows, mean),
    };
    RSLCORE_CHECK(actor_tables.sizes.back() == mean.size(1), kOp, ": `actor` must have ", mean.size(1),
                  " outputs like `mean`, got ", actor_tables.sizes.back());
    RSLCORE_CHECK(critic_tables.sizes.back() == 1, kOp, ": `critic` must have one output, got ",
                  critic_tables.sizes.back());
    abi::check_shape(std_rows, kOp, "out.std", mean);
    abi::check_shape(actions, kOp, "out.actions", mean);
    args.actor.output = abi::output<float>(mean, kOp, "out.mean", numel, mean);
    args.critic.output = abi::output<float>(values, kOp, "out.values", rows, mean);
    const int64_t all = numel * static_cast<int64_t>(sizeof(float));
    const int64_t column = rows * static_cast<int64_t>(sizeof(float));
    memory.push_back(memory_range(args.std, mean.size(1) * static_cast<int64_t>(sizeof(float)), -1));
    memory.push_back(memory_range(args.actor.output, all, 0));
    memory.push_back(memory_range(args.std_rows, all, 1));
    memory.push_back(memory_range(args.actions, all, 2));
    memory.push_back(memory_range(args.log_prob, column, 3));
    memory.push_back(memory_range(args.critic.output, column, 4));
    RSLCORE_CHECK(overlapping_target(memory) < 0, kOp,
                  ": `out` must share no memory with the other arguments or itself, got two that do");
    policy_step_cpu(args, abi::parallel);
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "policy_step(Tensor[] actor_obs, Tensor? actor_mean, Tensor? actor_var, float actor_eps, "
        "Tensor[] actor_layers, int actor_activation, Tensor[] critic_obs, Tensor? critic_mean, "
        "Tensor? critic_var, float critic_eps, Tensor[] critic_layers, int critic_activation, Tensor std, "
        "SymInt seed, SymInt offset, Tensor(a!) mean, Tensor(b!) std_rows, Tensor(c!) actions, "
        "Tensor(d!) log_prob, Tensor(e!) values) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("policy_step", TORCH_BOX(&policy_step));
}

}  // namespace
}  // namespace rslcore
