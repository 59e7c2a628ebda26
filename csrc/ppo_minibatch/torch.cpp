// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <vector>

#include "ppo_minibatch/arguments.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "ppo_minibatch";

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
    MinibatchInputs inputs;
    MinibatchArgs args = minibatch_args(
        kOp, {actions, old_log_prob, advantages, old_values, returns, old_mean, old_std},
        {"actor", actor_groups, actor_mean, actor_var, actor_eps, actor_weights, actor_biases,
         actor_activation, actor_weight_gradients, actor_bias_gradients},
        {"critic", critic_groups, critic_mean, critic_var, critic_eps, critic_weights, critic_biases,
         critic_activation, critic_weight_gradients, critic_bias_gradients},
        {clip_param, value_loss_coef, entropy_coef, use_clipped_value_loss, normalize_advantages}, &inputs);
    const int64_t columns = args.actions;
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
    float* const results = abi::output<float>(terms, kOp, "terms", kMinibatchTerms, actions);
    std::vector<double> sums(static_cast<size_t>(minibatch_sums(args)));
    minibatch_place(&args, &inputs, thread_scratch(minibatch_scratch_size(args)), sums.data());
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
