// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/abi.h"
#include "kl_adaptive_lr/launch.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "kl_adaptive_lr";

void kl_adaptive_lr(const Tensor& learning_rate, const Tensor& kl, double desired_kl, double tolerance,
                    double factor, double min_lr, double max_lr) {
    RSLCORE_CHECK(learning_rate.dim() == 0, kOp, ": `learning_rate` must be [], got ", learning_rate.dim(),
                  " dimensions");
    RSLCORE_CHECK(kl.dim() == 0, kOp, ": `kl` must be [], got ", kl.dim(), " dimensions");
    const KlAdaptiveLrSettings settings{desired_kl, tolerance, factor, min_lr, max_lr};
    abi::dispatch_float(learning_rate, kOp, "learning_rate", [&]<typename T>() {
        abi::dispatch_float(kl, kOp, "kl", [&]<typename K>() {
            T* const lr_data = abi::output<T>(learning_rate, kOp, "learning_rate", 1, learning_rate);
            const K* const kl_data = abi::input<K>(kl, kOp, "kl", 1, learning_rate);
            RSLCORE_CHECK(static_cast<const void*>(lr_data) != static_cast<const void*>(kl_data), kOp,
                          ": `learning_rate` must share no memory with `kl`, got the same");
#if defined(RSLCORE_CUDA_LIBRARY)
            const abi::DeviceScope device(learning_rate);
            abi::check_cuda(kl_adaptive_lr_cuda(lr_data, kl_data, settings, device.stream()), kOp);
#else
            *lr_data = static_cast<T>(
                kl_adapted(static_cast<double>(*lr_data), static_cast<double>(*kl_data), settings));
#endif
        });
    });
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "kl_adaptive_lr(Tensor(a!) learning_rate, Tensor kl, float desired_kl, float tolerance, float "
        "factor, "
        "float min_lr, float max_lr) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("kl_adaptive_lr", TORCH_BOX(&kl_adaptive_lr));
}

}  // namespace
}  // namespace rslcore
