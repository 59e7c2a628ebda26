// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <tuple>

#include "common/abi.h"
#include "ppo_loss/launch.h"
#include "ppo_loss/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "ppo_loss";

// One number per row: [B] or [B, 1].
template <typename T>
const T* column(const Tensor& x, const char* name, const Tensor& mean) {
    RSLCORE_CHECK(x.dim() == 1 || (x.dim() == 2 && x.size(1) == 1), kOp, ": `", name,
                  "` must be [B] or [B, 1], got ", x.dim(), " dimensions");
    return abi::input<T>(x, kOp, name, mean.size(0), mean);
}

// [rows, A], or [A] for all rows; the stride between rows goes to `stride`.
template <typename T>
const T* rows_or_one(const Tensor& x, const char* name, int64_t rows, const Tensor& mean, int64_t* stride) {
    const int64_t columns = mean.size(1);
    const bool each = x.dim() == 2;
    RSLCORE_CHECK(
        (each && x.size(0) == rows && x.size(1) == columns) || (x.dim() == 1 && x.size(0) == columns), kOp,
        ": `", name, "` must be [", columns, "] or [", rows, ", ", columns, "], got another shape");
    *stride = each ? columns : 0;
    return abi::input<T>(x, kOp, name, (each ? rows : 1) * columns, mean);
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> ppo_loss(
    const Tensor& mean, const Tensor& std, const Tensor& values, const Tensor& actions,
    const Tensor& old_log_prob, const Tensor& advantages, const Tensor& returns,
    const std::optional<Tensor>& old_values, const std::optional<Tensor>& old_mean,
    const std::optional<Tensor>& old_std, double clip_param, double value_loss_coef, double entropy_coef) {
    RSLCORE_CHECK(mean.dim() == 2, kOp, ": `mean` must be [B, A], got ", mean.dim(), " dimensions");
    RSLCORE_CHECK(old_mean.has_value() == old_std.has_value(), kOp,
                  ": `old_mean` and `old_std` must be given together, got one");
    const int64_t rows = mean.size(0);
    const int64_t columns = mean.size(1);
    std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> results{
        torch::stable::new_empty(mean, {}), torch::stable::new_empty(mean, {kPpoLossTerms}),
        torch::stable::empty_like(mean), torch::stable::empty_like(std), torch::stable::empty_like(values)};
    auto& [loss, stats, mean_gradient, std_gradient, value_gradient] = results;
    abi::dispatch_float(mean, kOp, "mean", [&]<typename T>() {
        PpoLossArgs<T> args{};
        args.rows = rows;
        args.samples = rows;
        args.columns = columns;
        args.mean = abi::input<T>(mean, kOp, "mean", rows * columns, mean);
        args.mean_stride = columns;
        args.std = rows_or_one<T>(std, "std", rows, mean, &args.std_stride);
        args.values = column<T>(values, "values", mean);
        args.value_stride = 1;
        args.actions = abi::input<T>(actions, kOp, "actions", rows * columns, mean);
        abi::check_shape(actions, kOp, "actions", mean);
        args.old_log_prob = column<T>(old_log_prob, "old_log_prob", mean);
        args.advantages = column<T>(advantages, "advantages", mean);
        args.returns = column<T>(returns, "returns", mean);
        args.old_values = old_values.has_value() ? column<T>(*old_values, "old_values", mean) : nullptr;
        if (old_mean.has_value()) {
            RSLCORE_CHECK(old_mean->dim() == 2 && old_mean->size(1) == columns, kOp,
                          ": `old_mean` must be [S, A], got another shape");
            args.samples = old_mean->size(0);
            RSLCORE_CHECK(args.samples <= rows, kOp, ": `old_mean` must have at most ", rows, " rows, got ",
                          args.samples);
            args.old_mean = abi::input<T>(*old_mean, kOp, "old_mean", args.samples * columns, mean);
            args.old_std = rows_or_one<T>(*old_std, "old_std", args.samples, mean, &args.old_std_stride);
        }
        args.settings = ppo_loss_settings<T>(clip_param, value_loss_coef, entropy_coef,
                                             old_values.has_value(), rows, args.samples);
        args.mean_gradient = abi::output<T>(mean_gradient, kOp, "mean", rows * columns, mean);
        args.mean_gradient_stride = columns;
        T* const std_sum = abi::output<T>(std_gradient, kOp, "std", std.numel(), mean);
        args.std_gradient = std_sum;
        args.std_gradient_stride = columns;
        args.value_gradient = abi::output<T>(value_gradient, kOp, "values", rows, mean);
        args.value_gradient_stride = 1;
        T* const loss_data = abi::output<T>(loss, kOp, "loss", 1, mean);
        T* const stats_data = abi::output<T>(stats, kOp, "stats", kPpoLossTerms, mean);
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(mean);
        const Tensor scratch = abi::scratch(mean, abi::ScalarType::Double, ppo_loss_scratch_doubles(args));
        abi::check_cuda(ppo_loss_cuda<T>(args, static_cast<double*>(scratch.mutable_data_ptr()), loss_data,
                                         stats_data, std_sum, device.stream()),
                        kOp);
#else
        ppo_loss_cpu<T>(args, loss_data, stats_data, std_sum, abi::parallel);
#endif
    });
    return results;
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "ppo_loss(Tensor mean, Tensor std, Tensor values, Tensor actions, Tensor old_log_prob, Tensor "
        "advantages, "
        "Tensor returns, Tensor? old_values, Tensor? old_mean, Tensor? old_std, float clip_param, "
        "float value_loss_coef, float entropy_coef) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
}

RSLCORE_KERNELS(m) {
    m.impl("ppo_loss", TORCH_BOX(&ppo_loss));
}

}  // namespace
}  // namespace rslcore
