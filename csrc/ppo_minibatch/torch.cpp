// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <array>
#include <vector>

#include "common/abi.h"
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
    std::vector<MinibatchGroup> group;
    std::vector<MinibatchLayer> layer;
};

MinibatchModel model_of(ModelTensors& from, int64_t rows, int64_t outputs, const Tensor& like) {
    const size_t layers = from.weights.size();
    RSLCORE_CHECK(layers > 0 && layers <= kMinibatchMostLayers, kOp, ": `", from.name, "` must have 1 to ",
                  kMinibatchMostLayers, " layers, got ", layers);
    RSLCORE_CHECK(from.biases.size() == layers && from.weight_gradients.size() == layers &&
                      from.bias_gradients.size() == layers,
                  kOp, ": `", from.name, "` must have as many biases and gradients as weights");
    RSLCORE_CHECK(from.activation >= 0 && from.activation < kActivations, kOp, ": `", from.name,
                  "` must have an activation in 0..", kActivations - 1, ", got ", from.activation);
    RSLCORE_CHECK(from.mean.has_value() == from.var.has_value(), kOp, ": `", from.name,
                  "` must have mean and variance or neither");
    int64_t width = 0;
    for (const Tensor& data : from.groups) {
        RSLCORE_CHECK(data.dim() == 2, kOp, ": `", from.name, "` must have observations [b, D], got ",
                      data.dim(), " dimensions");
        from.group.push_back(
            {data.size(1), abi::input<float>(data, kOp, "observations", rows * data.size(1), like)});
        width += data.size(1);
    }
    int64_t offset = 0;
    for (size_t l = 0; l < layers; ++l) {
        const Tensor& weight = from.weights[l];
        RSLCORE_CHECK(weight.dim() == 2 && weight.size(1) == width && weight.size(0) > 0 && width > 0, kOp,
                      ": `", from.name, "` must have weights [out, in] that follow each other, got others");
        const int64_t out = weight.size(0);
        MinibatchLayer layer{};
        layer.in = width;
        layer.out = out;
        layer.weight = abi::input<float>(weight, kOp, "weight", out * width, like);
        layer.bias = abi::input<float>(from.biases[l], kOp, "bias", out, like);
        layer.weight_gradient =
            abi::output<float>(from.weight_gradients[l], kOp, "weight gradient", out * width, like);
        layer.bias_gradient = abi::output<float>(from.bias_gradients[l], kOp, "bias gradient", out, like);
        layer.gradient_offset = offset;
        offset += out * mlp_padded(width) + mlp_padded(out);
        from.layer.push_back(layer);
        width = out;
    }
    RSLCORE_CHECK(width == outputs, kOp, ": `", from.name, "` must have ", outputs, " outputs, got ", width);
    const int64_t features = from.layer[0].in;
    return {
        .groups = static_cast<int64_t>(from.group.size()),
        .group = from.group.data(),
        .mean = abi::input<float>(from.mean, kOp, "mean", features, like),
        .var = abi::input<float>(from.var, kOp, "var", features, like),
        .eps = static_cast<float>(from.eps),
        .inverse_std = nullptr,
        .activation = static_cast<Activation>(from.activation),
        .layers = static_cast<int64_t>(layers),
        .layer = from.layer.data(),
        .gradient_size = offset,
        .gradient_offset = 0,
    };
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
        model.inverse_std = scratch->take(model.layer[0].in);
        for (int64_t l = 0; l < model.layers; ++l) {
            MinibatchLayer& layer = model.layer[l];
            layer.packed = scratch->take(mlp_packed_size(layer.in, layer.out));
            layer.packed_back = l == 0 ? nullptr : scratch->take(mlp_packed_size(layer.out, layer.in));
            layer.padded_bias = scratch->take(layer.out);
        }
    }
    args->gradients = scratch->take(args->chunks * args->gradients_size);
    args->tiles = scratch->take(args->chunks * kMinibatchRoles * args->tile_size);
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
                       {},
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
                        {},
                        {}};
    args.model[kMinibatchActor] = model_of(actor, rows, columns, actions);
    args.model[kMinibatchCritic] = model_of(critic, rows, 1, actions);
    args.model[kMinibatchCritic].gradient_offset = args.model[kMinibatchActor].gradient_size;
    args.gradients_size =
        args.model[kMinibatchActor].gradient_size + args.model[kMinibatchCritic].gradient_size;
    args.settings = ppo_loss_settings<float>(clip_param, value_loss_coef, entropy_coef,
                                             use_clipped_value_loss, rows, rows);
    float* const results = abi::output<float>(terms, kOp, "terms", kMinibatchTerms, actions);
    if (normalize_advantages) {
        minibatch_advantages(&args);
    }
    minibatch_cut(&args);
    Scratch needed{nullptr};
    place_scratch(&args, &needed);
    const Tensor memory = abi::scratch(actions, abi::ScalarType::Float, needed.used);
    Scratch scratch{static_cast<float*>(memory.mutable_data_ptr())};
    place_scratch(&args, &scratch);
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
