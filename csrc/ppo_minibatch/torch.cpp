// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <array>
#include <vector>

#include "common/abi.h"
#include "common/scratch.h"
#include "ppo_minibatch/launch.h"
#include "ppo_minibatch/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;
using Tensors = std::vector<Tensor>;

constexpr const char* kOp = "ppo_minibatch";

// A model's arguments as they come, and the tables that MinibatchModel points into.
struct ModelTensors {
    const char* name;
    const Tensors& groups;
    const std::optional<Tensor>& mean;
    const std::optional<Tensor>& var;
    double eps;
    const Tensors& weights;
    const Tensors& biases;
    int64_t activation;
    const Tensors& weight_gradients;
    const Tensors& bias_gradients;
    std::vector<MlpInput> inputs;
};

MinibatchModel model_of(ModelTensors& from, int64_t rows, int64_t outputs, const Tensor& like) {
    const int64_t layers = static_cast<int64_t>(from.weights.size());
    RSLCORE_CHECK(layers > 0 && layers <= kMaxMlpLayers, kOp, ": `", from.name, "` must have 1 to ",
                  kMaxMlpLayers, " layers, got ", layers);
    RSLCORE_CHECK(from.biases.size() == from.weights.size() &&
                      from.weight_gradients.size() == from.weights.size() &&
                      from.bias_gradients.size() == from.weights.size(),
                  kOp, ": `", from.name, "` must have as many biases and gradients as weights");
    RSLCORE_CHECK(from.activation >= 0 && from.activation < kActivations, kOp, ": `", from.name,
                  "` must have an activation in 0..", kActivations - 1, ", got ", from.activation);
    RSLCORE_CHECK(from.mean.has_value() == from.var.has_value(), kOp, ": `", from.name,
                  "` must have mean and variance or neither");
    MinibatchModel model{};
    Mlp& mlp = model.mlp;
    mlp.layers = layers;
    mlp.activation = static_cast<Activation>(from.activation);
    mlp.last_activation = Activation::identity;
    mlp.backward = true;
    for (const Tensor& data : from.groups) {
        RSLCORE_CHECK(data.dim() == 2, kOp, ": `", from.name, "` must have observations [b, D], got ",
                      data.dim(), " dimensions");
        const int64_t columns = data.size(1);
        from.inputs.push_back({
            .data = abi::input<float>(data, kOp, "observations", rows * columns, like),
            .stride = columns,
            .columns = columns,
            .mean = nullptr,
            .divisor = nullptr,
        });
        mlp.width[0] += columns;
    }
    model.num_inputs = static_cast<int64_t>(from.inputs.size());
    model.inputs = from.inputs.data();
    for (int64_t l = 0; l < layers; ++l) {
        const Tensor& weight = from.weights[l];
        RSLCORE_CHECK(weight.dim() == 2 && weight.size(1) == mlp.width[l] && weight.numel() > 0, kOp, ": `",
                      from.name, "` must have weights [out, in] that follow each other, got others");
        const int64_t out = mlp.width[l + 1] = weight.size(0);
        mlp.weight[l] = abi::input<float>(weight, kOp, "weight", weight.numel(), like);
        mlp.bias[l] = abi::input<float>(from.biases[l], kOp, "bias", out, like);
        model.weight_gradient[l] =
            abi::output<float>(from.weight_gradients[l], kOp, "weight gradient", weight.numel(), like);
        model.bias_gradient[l] = abi::output<float>(from.bias_gradients[l], kOp, "bias gradient", out, like);
    }
    RSLCORE_CHECK(mlp.width[layers] == outputs, kOp, ": `", from.name, "` must have ", outputs,
                  " outputs, got ", mlp.width[layers]);
    const float* mean = abi::input<float>(from.mean, kOp, "mean", mlp.width[0], like);
    model.var = abi::input<float>(from.var, kOp, "var", mlp.width[0], like);
    model.eps = static_cast<float>(from.eps);
    for (MlpInput& input : from.inputs) {
        input.mean = mean;
        mean += mean == nullptr ? 0 : input.columns;
    }
    return model;
}

// Hands out one piece of scratch after the other, each on cache lines of its own; counts when there is none.
struct Scratch {
    float* memory;
    int64_t used = 0;

    float* take(int64_t floats) {
        float* const place = memory == nullptr ? nullptr : memory + used;
        used += mlp_padded(floats);
        return place;
    }
};

void place_scratch(MinibatchArgs* args, Scratch* scratch) {
    for (MinibatchModel& model : args->model) {
        model.divisor = scratch->take(model.mlp.width[0]);
        model.packed = scratch->take(mlp_packed_size(model.mlp));
    }
    args->gradients = scratch->take(args->chunks * args->gradients_size);
    args->workspaces = scratch->take(args->chunks * kMinibatchRoles * args->workspace_size);
}

void place_divisor(std::vector<MlpInput>* inputs, const float* divisor) {
    for (MlpInput& input : *inputs) {
        input.divisor = divisor;
        divisor += input.columns;
    }
}

void ppo_minibatch(const Tensors& actor_groups, const Tensors& critic_groups, const Tensor& actions,
                   const Tensor& old_log_prob, const Tensor& advantages, const Tensor& old_values,
                   const Tensor& returns, const Tensor& old_mean, const Tensor& old_std,
                   const std::optional<Tensor>& actor_mean, const std::optional<Tensor>& actor_var,
                   double actor_eps, const Tensors& actor_weights, const Tensors& actor_biases,
                   int64_t actor_activation, const Tensors& actor_weight_gradients,
                   const Tensors& actor_bias_gradients, const std::optional<Tensor>& critic_mean,
                   const std::optional<Tensor>& critic_var, double critic_eps, const Tensors& critic_weights,
                   const Tensors& critic_biases, int64_t critic_activation,
                   const Tensors& critic_weight_gradients, const Tensors& critic_bias_gradients,
                   const Tensor& std, const Tensor& noise, bool logarithmic, double noise_low,
                   double noise_high, const std::optional<Tensor>& noise_gradient, double clip_param,
                   double value_loss_coef, double entropy_coef, bool use_clipped_value_loss,
                   bool normalize_advantages, const Tensor& terms) {
    RSLCORE_CHECK(actions.dim() == 2 && actions.size(0) > 0 && actions.size(1) > 0, kOp,
                  ": `actions` must be [b, A], not empty");
    const int64_t rows = actions.size(0);
    const int64_t columns = actions.size(1);
    const int64_t numel = rows * columns;
    MinibatchArgs args{};
    args.rows = rows;
    args.actions = columns;
    args.action = abi::input<float>(actions, kOp, "actions", numel, actions);
    args.old_log_prob = abi::input<float>(old_log_prob, kOp, "old_log_prob", rows, actions);
    args.advantages = abi::input<float>(advantages, kOp, "advantages", rows, actions);
    args.old_values = abi::input<float>(old_values, kOp, "old_values", rows, actions);
    args.returns = abi::input<float>(returns, kOp, "returns", rows, actions);
    args.old_mean = abi::input<float>(old_mean, kOp, "old_mean", numel, actions);
    args.old_std = abi::input<float>(old_std, kOp, "old_std", numel, actions);
    args.std = abi::input<float>(std, kOp, "std", columns, actions);
    const MinibatchNoise noise_settings{
        .parameter = abi::input<float>(noise, kOp, "noise", columns, actions),
        .logarithmic = logarithmic,
        .low = static_cast<float>(noise_low),
        .high = static_cast<float>(noise_high),
        .gradient = noise_gradient.has_value()
                        ? abi::output<float>(*noise_gradient, kOp, "noise_gradient", columns, actions)
                        : nullptr,
    };
    ModelTensors actor{"actor",
                       actor_groups,
                       actor_mean,
                       actor_var,
                       actor_eps,
                       actor_weights,
                       actor_biases,
                       actor_activation,
                       actor_weight_gradients,
                       actor_bias_gradients,
                       {}};
    ModelTensors critic{"critic",
                        critic_groups,
                        critic_mean,
                        critic_var,
                        critic_eps,
                        critic_weights,
                        critic_biases,
                        critic_activation,
                        critic_weight_gradients,
                        critic_bias_gradients,
                        {}};
    args.model[kMinibatchActor] = model_of(actor, rows, columns, actions);
    args.model[kMinibatchCritic] = model_of(critic, rows, 1, actions);
    args.model[kMinibatchCritic].gradients_begin = mlp_gradient_size(args.model[kMinibatchActor].mlp);
    args.gradients_size =
        args.model[kMinibatchCritic].gradients_begin + mlp_gradient_size(args.model[kMinibatchCritic].mlp);
    args.settings = ppo_loss_settings<float>(clip_param, value_loss_coef, entropy_coef,
                                             use_clipped_value_loss, rows, rows);
    float* const results = abi::output<float>(terms, kOp, "terms", kMinibatchTerms, actions);
    if (normalize_advantages) {
        minibatch_advantages(&args);
    }
    minibatch_cut(&args);
    Scratch needed{nullptr};
    place_scratch(&args, &needed);
    Scratch scratch{thread_scratch(needed.used)};
    place_scratch(&args, &scratch);
    place_divisor(&actor.inputs, args.model[kMinibatchActor].divisor);
    place_divisor(&critic.inputs, args.model[kMinibatchCritic].divisor);
    std::vector<double> sums(static_cast<size_t>(args.chunks * kMinibatchRoles * args.sums_size));
    args.sums = sums.data();
    minibatch_cpu(args, noise_settings, abi::parallel, results);
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "ppo_minibatch(Tensor[] actor_groups, Tensor[] critic_groups, Tensor actions, Tensor old_log_prob, "
        "Tensor "
        "advantages, Tensor old_values, Tensor returns, Tensor old_mean, Tensor old_std, Tensor? actor_mean, "
        "Tensor? "
        "actor_var, float actor_eps, Tensor[] actor_weights, Tensor[] actor_biases, SymInt actor_activation, "
        "Tensor(a!)[] actor_weight_gradients, Tensor(b!)[] actor_bias_gradients, Tensor? critic_mean, "
        "Tensor? "
        "critic_var, float critic_eps, Tensor[] critic_weights, Tensor[] critic_biases, SymInt "
        "critic_activation, "
        "Tensor(c!)[] critic_weight_gradients, Tensor(d!)[] critic_bias_gradients, Tensor std, Tensor noise, "
        "bool "
        "logarithmic, float noise_low, float noise_high, Tensor(e!)? noise_gradient, float clip_param, float "
        "value_loss_coef, float entropy_coef, bool use_clipped_value_loss, bool normalize_advantages, "
        "Tensor(f!) "
        "terms) -> ()");
}

#if !defined(RSLCORE_CUDA_LIBRARY)
RSLCORE_KERNELS(m) {
    m.impl("ppo_minibatch", TORCH_BOX(&ppo_minibatch));
}
#endif

}  // namespace
}  // namespace rslcore
