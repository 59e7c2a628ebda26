// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <tuple>

#include "bias_activation/launch.h"
#include "bias_activation/run_cpu.h"
#include "common/abi.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "bias_activation";

template <typename T>
BiasActivationArgs<T> make_args(const Tensor& x, const Tensor& bias, int64_t activation) {
    RSLCORE_CHECK(x.dim() == 2, kOp, ": `x` must be [B, F], got ", x.dim(), " dimensions");
    RSLCORE_CHECK(activation >= 0 && activation < kActivations, kOp, ": `activation` must be in 0..",
                  kActivations - 1, ", got ", activation);
    BiasActivationArgs<T> args{};
    args.rows = x.size(0);
    args.columns = x.size(1);
    args.activation = static_cast<Activation>(activation);
    args.x = abi::input<T>(x, kOp, "x", x.numel(), x);
    args.bias = abi::input<T>(bias, kOp, "bias", args.columns, x);
    return args;
}

Tensor bias_activation(const Tensor& x, const Tensor& bias, int64_t activation) {
    const Tensor y = torch::stable::empty_like(x);
    abi::dispatch_float(x, kOp, "x", [&]<typename T>() {
        BiasActivationArgs<T> args = make_args<T>(x, bias, activation);
        args.y = abi::output<T>(y, kOp, "y", x.numel(), x);
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(x);
        abi::check_cuda(bias_activation_cuda<T>(args, device.stream()), kOp);
#else
        bias_activation_cpu<T>(args, abi::parallel);
#endif
    });
    return y;
}

std::tuple<Tensor, Tensor> bias_activation_backward(const Tensor& y_gradient, const Tensor& x,
                                                    const Tensor& bias, int64_t activation) {
    const Tensor x_gradient = torch::stable::empty_like(x);
    const Tensor bias_gradient = torch::stable::empty_like(bias);
    abi::dispatch_float(x, kOp, "x", [&]<typename T>() {
        BiasActivationArgs<T> args = make_args<T>(x, bias, activation);
        args.y_gradient = abi::input<T>(y_gradient, kOp, "y_gradient", x.numel(), x);
        args.x_gradient = abi::output<T>(x_gradient, kOp, "x_gradient", x.numel(), x);
        args.bias_gradient = abi::output<T>(bias_gradient, kOp, "bias_gradient", args.columns, x);
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(x);
        const Tensor scratch = abi::scratch(x, abi::ScalarType::Double,
                                            bias_activation_scratch_doubles(args.rows, args.columns));
        double* const data = static_cast<double*>(scratch.mutable_data_ptr());
        abi::check_cuda(bias_activation_backward_cuda<T>(args, data, device.stream()), kOp);
#else
        bias_activation_backward_cpu<T>(args, abi::parallel);
#endif
    });
    return {x_gradient, bias_gradient};
}

RSLCORE_SCHEMAS(m) {
    m.def("bias_activation(Tensor x, Tensor bias, int activation) -> Tensor");
    m.def(
        "bias_activation_backward(Tensor y_gradient, Tensor x, Tensor bias, int activation) -> (Tensor, "
        "Tensor)");
}

RSLCORE_KERNELS(m) {
    m.impl("bias_activation", TORCH_BOX(&bias_activation));
    m.impl("bias_activation_backward", TORCH_BOX(&bias_activation_backward));
}

}  // namespace
}  // namespace rslcore
