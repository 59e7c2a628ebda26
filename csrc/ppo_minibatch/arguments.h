// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// From tensors to the arguments of the kernels: what ppo_minibatch and ppo_update share.

#include <array>
#include <optional>
#include <vector>

#include "common/abi.h"
#include "common/scratch.h"
#include "ppo_minibatch/launch.h"
#include "ppo_minibatch/run_cpu.h"

namespace rslcore {

using Tensors = std::vector<abi::Tensor>;

// A model's arguments as they come.
struct MinibatchModelTensors {
    const char* name;
    const Tensors& groups;
    const std::optional<abi::Tensor>& mean;
    const std::optional<abi::Tensor>& var;
    double eps;
    const Tensors& weights;
    const Tensors& biases;
    int64_t activation;
    const Tensors& weight_gradients;
    const Tensors& bias_gradients;
};

inline MinibatchModel minibatch_model(const char* op, const MinibatchModelTensors& from,
                                      std::vector<MlpInput>* inputs, int64_t rows, int64_t outputs,
                                      const abi::Tensor& like) {
    const int64_t layers = static_cast<int64_t>(from.weights.size());
    RSLCORE_CHECK(layers > 0 && layers <= kMaxMlpLayers, op, ": `", from.name, "` must have 1 to ",
                  kMaxMlpLayers, " layers, got ", layers);
    RSLCORE_CHECK(from.biases.size() == from.weights.size() &&
                      from.weight_gradients.size() == from.weights.size() &&
                      from.bias_gradients.size() == from.weights.size(),
                  op, ": `", from.name, "` must have as many biases and gradients as weights");
    RSLCORE_CHECK(from.activation >= 0 && from.activation < kActivations, op, ": `", from.name,
                  "` must have an activation in 0..", kActivations - 1, ", got ", from.activation);
    RSLCORE_CHECK(from.mean.has_value() == from.var.has_value(), op, ": `", from.name,
                  "` must have mean and variance or neither");
    MinibatchModel model{};
    Mlp& mlp = model.mlp;
    mlp.layers = layers;
    mlp.activation = static_cast<Activation>(from.activation);
    mlp.last_activation = Activation::identity;
    mlp.backward = true;
    for (const abi::Tensor& data : from.groups) {
        RSLCORE_CHECK(data.dim() == 2, op, ": `", from.name, "` must have observations [b, D], got ",
                      data.dim(), " dimensions");
        const int64_t columns = data.size(1);
        inputs->push_back({
            .data = abi::input<float>(data, op, "observations", rows * columns, like),
            .stride = columns,
            .columns = columns,
            .mean = nullptr,
            .divisor = nullptr,
        });
        mlp.width[0] += columns;
    }
    model.num_inputs = static_cast<int64_t>(inputs->size());
    model.inputs = inputs->data();
    for (int64_t l = 0; l < layers; ++l) {
        const abi::Tensor& weight = from.weights[l];
        RSLCORE_CHECK(weight.dim() == 2 && weight.size(1) == mlp.width[l] && weight.numel() > 0, op, ": `",
                      from.name, "` must have weights [out, in] that follow each other, got others");
        const int64_t out = mlp.width[l + 1] = weight.size(0);
        mlp.weight[l] = abi::input<float>(weight, op, "weight", weight.numel(), like);
        mlp.bias[l] = abi::input<float>(from.biases[l], op, "bias", out, like);
        model.weight_gradient[l] =
            abi::output<float>(from.weight_gradients[l], op, "weight gradient", weight.numel(), like);
        model.bias_gradient[l] = abi::output<float>(from.bias_gradients[l], op, "bias gradient", out, like);
    }
    RSLCORE_CHECK(mlp.width[layers] == outputs, op, ": `", from.name, "` must have ", outputs,
                  " outputs, got ", mlp.width[layers]);
    const float* mean = abi::input<float>(from.mean, op, "mean", mlp.width[0], like);
    model.var = abi::input<float>(from.var, op, "var", mlp.width[0], like);
    model.eps = static_cast<float>(from.eps);
    for (MlpInput& input : *inputs) {
        input.mean = mean;
        mean += mean == nullptr ? 0 : input.columns;
    }
    return model;
}

// What is known of the rows of one minibatch.
struct MinibatchFields {
    const abi::Tensor& actions;
    const abi::Tensor& old_log_prob;
    const abi::Tensor& advantages;
    const abi::Tensor& old_values;
    const abi::Tensor& returns;
    const abi::Tensor& old_mean;
    const abi::Tensor& old_std;
};

struct MinibatchRule {
    double clip_param;
    double value_loss_coef;
    double entropy_coef;
    bool use_clipped_value_loss;
    bool normalize_advantages;
};

using MinibatchInputs = std::array<std::vector<MlpInput>, kMinibatchRoles>;

// Everything but the standard deviation and the scratch memory; `inputs` are the tables that the result
// points into.
inline MinibatchArgs minibatch_args(const char* op, const MinibatchFields& fields,
                                    const MinibatchModelTensors& actor, const MinibatchModelTensors& critic,
                                    const MinibatchRule& rule, MinibatchInputs* inputs) {
    const abi::Tensor& actions = fields.actions;
    RSLCORE_CHECK(actions.dim() == 2 && actions.size(0) > 0 && actions.size(1) > 0, op,
                  ": `actions` must be [b, A], not empty");
    const int64_t rows = actions.size(0);
    const int64_t columns = actions.size(1);
    const int64_t numel = rows * columns;
    MinibatchArgs args{};
    args.rows = rows;
    args.actions = columns;
    args.action = abi::input<float>(actions, op, "actions", numel, actions);
    args.old_log_prob = abi::input<float>(fields.old_log_prob, op, "old_log_prob", rows, actions);
    args.advantages = abi::input<float>(fields.advantages, op, "advantages", rows, actions);
    args.old_values = abi::input<float>(fields.old_values, op, "old_values", rows, actions);
    args.returns = abi::input<float>(fields.returns, op, "returns", rows, actions);
    args.old_mean = abi::input<float>(fields.old_mean, op, "old_mean", numel, actions);
    args.old_std = abi::input<float>(fields.old_std, op, "old_std", numel, actions);
    MinibatchModel* const model = args.model;
    model[kMinibatchActor] = minibatch_model(op, actor, &(*inputs)[kMinibatchActor], rows, columns, actions);
    model[kMinibatchCritic] = minibatch_model(op, critic, &(*inputs)[kMinibatchCritic], rows, 1, actions);
    model[kMinibatchCritic].gradients_begin = mlp_gradient_size(model[kMinibatchActor].mlp);
    args.gradients_size =
        model[kMinibatchCritic].gradients_begin + mlp_gradient_size(model[kMinibatchCritic].mlp);
    args.settings = ppo_loss_settings<float>(rule.clip_param, rule.value_loss_coef, rule.entropy_coef,
                                             rule.use_clipped_value_loss, rows, rows);
    if (rule.normalize_advantages) {
        RSLCORE_CHECK(rows > 1, op, ": `advantages` must be two at least to be normalized, got one");
        minibatch_advantages(&args);
    }
    minibatch_cut(&args);
    return args;
}

// Hands out one piece of scratch after the other, each on cache lines of its own; counts when there is none.
struct MinibatchScratch {
    float* memory;
    int64_t used = 0;

    float* take(int64_t floats) {
        float* const place = memory == nullptr ? nullptr : memory + used;
        used += mlp_padded(floats);
        return place;
    }
};

inline void minibatch_place_scratch(MinibatchArgs* args, MinibatchScratch* scratch) {
    for (MinibatchModel& model : args->model) {
        model.divisor = scratch->take(model.mlp.width[0]);
        model.packed = scratch->take(mlp_packed_size(model.mlp));
    }
    args->gradients = scratch->take(args->chunks * args->gradients_size);
    args->workspaces = scratch->take(args->chunks * kMinibatchRoles * args->workspace_size);
}

inline void minibatch_place_divisor(std::vector<MlpInput>* inputs, const float* divisor) {
    for (MlpInput& input : *inputs) {
        input.divisor = divisor;
        divisor += input.columns;
    }
}

// Floats of scratch memory that a minibatch needs.
inline int64_t minibatch_scratch_size(MinibatchArgs args) {
    MinibatchScratch needed{nullptr};
    minibatch_place_scratch(&args, &needed);
    return needed.used;
}

// Places the scratch memory, which several minibatches may share that run one after the other.
inline void minibatch_place(MinibatchArgs* args, MinibatchInputs* inputs, float* memory, double* sums) {
    MinibatchScratch scratch{memory};
    minibatch_place_scratch(args, &scratch);
    for (int role = 0; role < kMinibatchRoles; ++role) {
        minibatch_place_divisor(&(*inputs)[role], args->model[role].divisor);
    }
    args->sums = sums;
}

inline int64_t minibatch_sums(const MinibatchArgs& args) {
    return args.chunks * kMinibatchRoles * args.sums_size;
}

}  // namespace rslcore
