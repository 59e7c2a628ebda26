// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <vector>

#include "common/abi.h"
#include "mlp/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;
using Tensors = std::vector<Tensor>;

constexpr const char* kOp = "mlp";

MlpArgs args_of(const Tensor& x, const Tensors& weights, const Tensors& biases, int64_t activation,
                int64_t last_activation) {
    const int64_t layers = static_cast<int64_t>(weights.size());
    RSLCORE_CHECK(layers >= 1 && layers <= kMaxMlpLayers, kOp, ": `weights` must have 1 to ", kMaxMlpLayers,
                  " tensors, got ", layers);
    RSLCORE_CHECK(biases.size() == weights.size(), kOp, ": `biases` must have ", layers, " tensors, got ",
                  biases.size());
    RSLCORE_CHECK(x.dim() == 2, kOp, ": `x` must be [B, D], got ", x.dim(), " dimensions");
    for (const int64_t number : {activation, last_activation}) {
        RSLCORE_CHECK(number >= 0 && number < kActivations, kOp, ": `activation` must be below ",
                      kActivations, ", got ", number);
    }
    MlpArgs args{};
    args.rows = x.size(0);
    args.x = abi::input<float>(x, kOp, "x", x.numel(), x);
    args.mlp.layers = layers;
    args.mlp.width[0] = x.size(1);
    args.mlp.activation = static_cast<Activation>(activation);
    args.mlp.last_activation = static_cast<Activation>(last_activation);
    for (int64_t l = 0; l < layers; ++l) {
        const Tensor& weight = weights[l];
        const int64_t in = args.mlp.width[l];
        RSLCORE_CHECK(weight.dim() == 2 && weight.size(1) == in, kOp, ": `weights[", l, "]` must be [out, ",
                      in, "]");
        args.mlp.width[l + 1] = weight.size(0);
        args.mlp.weight[l] = abi::input<float>(weight, kOp, "weights", weight.size(0) * in, x);
        args.mlp.bias[l] = abi::input<float>(biases[l], kOp, "biases", weight.size(0), x);
    }
    return args;
}

float* scratch(const Tensor& tensor) {
    return static_cast<float*>(tensor.mutable_data_ptr());
}

Tensor mlp(const Tensor& x, const Tensors& weights, const Tensors& biases, int64_t activation,
           int64_t last_activation) {
    MlpArgs args = args_of(x, weights, biases, activation, last_activation);
    const Tensor packed = abi::scratch(x, abi::ScalarType::Float, mlp_packed_size(args.mlp));
    Tensor y =
        torch::stable::new_empty(x, {args.rows, args.mlp.width[args.mlp.layers]}, abi::ScalarType::Float);
    args.packed = scratch(packed);
    args.y = scratch(y);
    mlp_forward_cpu(args, abi::parallel);
    return y;
}

// dL/dx ([0] if it is not asked for), then dL/dW of every layer, then dL/db of every layer.
Tensors mlp_backward(const Tensor& grad, const Tensor& x, const Tensors& weights, const Tensors& biases,
                     int64_t activation, int64_t last_activation, bool input_gradient) {
    MlpArgs args = args_of(x, weights, biases, activation, last_activation);
    const int64_t outputs = args.mlp.width[args.mlp.layers];
    RSLCORE_CHECK(grad.dim() == 2 && grad.size(1) == outputs, kOp, ": `grad` must be [", args.rows, ", ",
                  outputs, "]");
    args.y_gradient = abi::input<float>(grad, kOp, "grad", args.rows * outputs, x);
    args.mlp.backward = true;
    args.mlp.input_gradient = input_gradient;

    Tensors gradients;
    const auto add = [&](std::initializer_list<int64_t> shape) {
        gradients.push_back(torch::stable::new_empty(x, shape, abi::ScalarType::Float));
        return scratch(gradients.back());
    };
    args.x_gradient = input_gradient ? add({args.rows, args.mlp.width[0]}) : add({0});
    for (int64_t l = 0; l < args.mlp.layers; ++l) {
        args.weight_gradient[l] = add({args.mlp.width[l + 1], args.mlp.width[l]});
    }
    for (int64_t l = 0; l < args.mlp.layers; ++l) {
        args.bias_gradient[l] = add({args.mlp.width[l + 1]});
    }
    const Tensor packed = abi::scratch(x, abi::ScalarType::Float, mlp_packed_size(args.mlp));
    const Tensor chunks =
        abi::scratch(x, abi::ScalarType::Float, mlp_chunks(args) * mlp_gradient_size(args.mlp));
    args.packed = scratch(packed);
    args.chunk_gradients = scratch(chunks);
    mlp_backward_cpu(args, abi::parallel);
    return gradients;
}

RSLCORE_SCHEMAS(m) {
    m.def("mlp(Tensor x, Tensor[] weights, Tensor[] biases, int activation, int last_activation) -> Tensor");
    m.def(
        "mlp_backward(Tensor grad, Tensor x, Tensor[] weights, Tensor[] biases, int activation, "
        "int last_activation, bool input_gradient) -> Tensor[]");
}

RSLCORE_KERNELS(m) {
    m.impl("mlp", TORCH_BOX(&mlp));
    m.impl("mlp_backward", TORCH_BOX(&mlp_backward));
}

}  // namespace
}  // namespace rslcore
