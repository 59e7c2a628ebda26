// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "ppo_update/run_cpu.h"

#include <vector>

#include "adam/arguments.h"
#include "ppo_minibatch/arguments.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "ppo_update";

// Element `i` of the lists that hold one tensor, or some tensors, per minibatch.
const Tensor& of(const Tensors& list, int64_t i, int64_t count, const char* name) {
    RSLCORE_CHECK(static_cast<int64_t>(list.size()) == count, kOp, ": `", name, "` must have ", count,
                  " tensors, got ", list.size());
    return list[i];
}

Tensors groups_of(const Tensors& list, int64_t i, int64_t count, const char* name) {
    const int64_t groups = static_cast<int64_t>(list.size()) / count;
    RSLCORE_CHECK(groups * count == static_cast<int64_t>(list.size()), kOp, ": `", name,
                  "` must have as many tensors for every minibatch");
    return {list.begin() + i * groups, list.begin() + (i + 1) * groups};
}

void ppo_update(const Tensors& actor_groups, const Tensors& critic_groups, const Tensors& actions,
                const Tensors& old_log_prob, const Tensors& advantages, const Tensors& old_values,
                const Tensors& returns, const Tensors& old_mean, const Tensors& old_std,
                const std::optional<Tensor>& actor_mean, const std::optional<Tensor>& actor_var,
                double actor_eps, const Tensors& actor_weights, const Tensors& actor_biases,
                int64_t actor_activation, const Tensors& actor_weight_gradients,
                const Tensors& actor_bias_gradients, const std::optional<Tensor>& critic_mean,
                const std::optional<Tensor>& critic_var, double critic_eps, const Tensors& critic_weights,
                const Tensors& critic_biases, int64_t critic_activation,
                const Tensors& critic_weight_gradients, const Tensors& critic_bias_gradients,
                const Tensor& noise, bool logarithmic, double noise_low, double noise_high,
                const std::optional<Tensor>& noise_gradient, double clip_param, double value_loss_coef,
                double entropy_coef, bool use_clipped_value_loss, bool normalize_advantages,
                const std::vector<int64_t>& order, const Tensors& params, const Tensors& grads,
                const Tensors& exp_avgs, const Tensors& exp_avg_sqs, const Tensors& steps,
                const std::vector<int64_t>& group_sizes, double max_norm, double beta1, double beta2,
                double eps, double weight_decay, bool decoupled, const Tensor& lr,
                std::optional<double> desired_kl, double kl_tolerance, double lr_factor, double min_lr,
                double max_lr, const Tensor& norms, const Tensor& std, const Tensor& terms) {
    const int64_t count = static_cast<int64_t>(actions.size());
    RSLCORE_CHECK(count > 0 && !params.empty(), kOp, ": there must be minibatches and parameters, got none");
    const int64_t columns = noise.numel();
    UpdateSteps update{};
    update.order = order;
    update.std = abi::output<float>(std, kOp, "std", columns, actions[0]);
    std::vector<MinibatchInputs> inputs(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
        const Tensors actor = groups_of(actor_groups, i, count, "actor_groups");
        const Tensors critic = groups_of(critic_groups, i, count, "critic_groups");
        update.batches.push_back(minibatch_args(
            kOp,
            {of(actions, i, count, "actions"), of(old_log_prob, i, count, "old_log_prob"),
             of(advantages, i, count, "advantages"), of(old_values, i, count, "old_values"),
             of(returns, i, count, "returns"), of(old_mean, i, count, "old_mean"),
             of(old_std, i, count, "old_std")},
            {"actor", actor, actor_mean, actor_var, actor_eps, actor_weights, actor_biases, actor_activation,
             actor_weight_gradients, actor_bias_gradients},
            {"critic", critic, critic_mean, critic_var, critic_eps, critic_weights, critic_biases,
             critic_activation, critic_weight_gradients, critic_bias_gradients},
            {clip_param, value_loss_coef, entropy_coef, use_clipped_value_loss, normalize_advantages},
            &inputs[i]));
        RSLCORE_CHECK(update.batches[i].actions == columns, kOp, ": `noise` must have ",
                      update.batches[i].actions, " elements, got ", columns);
        update.batches[i].std = update.std;
    }
    for (const int64_t batch : order) {
        RSLCORE_CHECK(batch >= 0 && batch < count, kOp, ": `order` must name one of ", count,
                      " minibatches, got ", batch);
    }
    const Tensor& like = actions[0];
    update.noise = {
        .parameter = abi::input<float>(noise, kOp, "noise", columns, like),
        .logarithmic = logarithmic,
        .low = static_cast<float>(noise_low),
        .high = static_cast<float>(noise_high),
        .gradient = noise_gradient.has_value()
                        ? abi::output<float>(*noise_gradient, kOp, "noise_gradient", columns, like)
                        : nullptr,
    };
    update.tensors = adam_tensors<float>(kOp, {params, grads, exp_avgs, exp_avg_sqs, steps}, group_sizes);
    update.groups = static_cast<int64_t>(group_sizes.size());
    update.max_norm = max_norm;
    update.adam = {0.0, beta1, beta2, eps, weight_decay, decoupled};
    if (desired_kl.has_value()) {
        update.adaptive = {*desired_kl, kl_tolerance, lr_factor, min_lr, max_lr};
    }
    update.lr = abi::output<double>(lr, kOp, "lr", 1, like);
    update.norms = abi::output<float>(norms, kOp, "norms", update.groups, like);
    update.terms =
        abi::output<float>(terms, kOp, "terms", static_cast<int64_t>(order.size()) * kMinibatchTerms, like);
    // Minibatches run one after the other and share their scratch memory.
    int64_t floats = 0;
    int64_t sums_size = 0;
    for (const MinibatchArgs& args : update.batches) {
        floats = std::max(floats, minibatch_scratch_size(args));
        sums_size = std::max(sums_size, minibatch_sums(args));
    }
    float* const memory = thread_scratch(floats);
    std::vector<double> sums(static_cast<size_t>(sums_size));
    for (int64_t i = 0; i < count; ++i) {
        minibatch_place(&update.batches[i], &inputs[i], memory, sums.data());
    }
    ppo_update_cpu(update, static_cast<int64_t>(torch::stable::get_num_threads()), abi::torch_pool);
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "ppo_update(Tensor[] actor_groups, Tensor[] critic_groups, Tensor[] actions, Tensor[] old_log_prob, "
        "Tensor[] advantages, Tensor[] old_values, Tensor[] returns, Tensor[] old_mean, Tensor[] old_std, "
        "Tensor? actor_mean, Tensor? actor_var, float actor_eps, Tensor(a!)[] actor_weights, "
        "Tensor(b!)[] actor_biases, SymInt actor_activation, Tensor(c!)[] actor_weight_gradients, "
        "Tensor(d!)[] actor_bias_gradients, Tensor? critic_mean, Tensor? critic_var, float critic_eps, "
        "Tensor(e!)[] critic_weights, Tensor(f!)[] critic_biases, SymInt critic_activation, "
        "Tensor(g!)[] critic_weight_gradients, Tensor(h!)[] critic_bias_gradients, Tensor(i!) noise, "
        "bool logarithmic, float noise_low, float noise_high, Tensor(j!)? noise_gradient, "
        "float clip_param, float value_loss_coef, float entropy_coef, bool use_clipped_value_loss, "
        "bool normalize_advantages, int[] order, Tensor(k!)[] params, Tensor(l!)[] grads, "
        "Tensor(m!)[] exp_avgs, Tensor(n!)[] exp_avg_sqs, Tensor(o!)[] steps, int[] group_sizes, "
        "float max_norm, float beta1, float beta2, float eps, float weight_decay, bool decoupled, "
        "Tensor(p!) lr, float? desired_kl, float kl_tolerance, float lr_factor, float min_lr, "
        "float max_lr, Tensor(q!) norms, Tensor(r!) std, Tensor(s!) terms) -> ()");
}

#if !defined(RSLCORE_CUDA_LIBRARY)
RSLCORE_KERNELS(m) {
    m.impl("ppo_update", TORCH_BOX(&ppo_update));
}
#endif

}  // namespace
}  // namespace rslcore
