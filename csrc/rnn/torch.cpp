// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <tuple>

#include "common/abi.h"
#include "rnn/launch.h"
#include "rnn/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

constexpr const char* kOp = "rnn_scan";
constexpr int64_t kMostUnits = int64_t{1} << 20;  // sizes of buffers stay far from overflow

Tensor empty(const Tensor& like, std::initializer_list<int64_t> sizes) {
    return torch::stable::new_empty(like, sizes);
}

RnnShape shape_of(bool lstm, int64_t steps, int64_t envs, const Tensor& weight_ih, const Tensor& weight_hh) {
    RSLCORE_CHECK(weight_ih.dim() == 2 && weight_hh.dim() == 2, kOp, ": weights must be matrices");
    const RnnShape shape{lstm ? RnnCell::lstm : RnnCell::gru, steps, envs, weight_ih.size(1),
                         weight_hh.size(1)};
    RSLCORE_CHECK(shape.units >= 1 && shape.units <= kMostUnits && shape.inputs <= kMostUnits, kOp,
                  ": `weight_hh` must have 1 to ", kMostUnits, " columns, got ", shape.units);
    return shape;
}

// Rows of both weights: the gates of torch, one behind the other.
int64_t torch_gate_rows(const RnnShape& shape) {
    return (shape.cell == RnnCell::lstm ? 4 : 3) * shape.units;
}

RnnWeights<const float> weights_of(const RnnShape& shape, const Tensor& weight_ih, const Tensor& weight_hh,
                                   const std::optional<Tensor>& bias_ih,
                                   const std::optional<Tensor>& bias_hh) {
    const int64_t rows = torch_gate_rows(shape);
    RSLCORE_CHECK(weight_ih.size(0) == rows && weight_hh.size(0) == rows, kOp,
                  ": `weight_ih` and `weight_hh` must have ", rows, " rows, got ", weight_ih.size(0), " and ",
                  weight_hh.size(0));
    return {abi::input<float>(weight_ih, kOp, "weight_ih", rows * shape.inputs, weight_ih),
            abi::input<float>(weight_hh, kOp, "weight_hh", rows * shape.units, weight_ih),
            abi::input<float>(bias_ih, kOp, "bias_ih", rows, weight_ih),
            abi::input<float>(bias_hh, kOp, "bias_hh", rows, weight_ih)};
}

float* data(const Tensor& x) {
    return static_cast<float*>(x.mutable_data_ptr());
}

std::tuple<Tensor, Tensor, Tensor, Tensor> rnn_scan(const Tensor& x, const Tensor& dones, const Tensor& h_0,
                                                    const std::optional<Tensor>& c_0, const Tensor& weight_ih,
                                                    const Tensor& weight_hh,
                                                    const std::optional<Tensor>& bias_ih,
                                                    const std::optional<Tensor>& bias_hh, bool save) {
    RSLCORE_CHECK(x.dim() == 3, kOp, ": `x` must be [T, N, D], got ", x.dim(), " dimensions");
    const bool lstm = c_0.has_value();
    const RnnShape shape = shape_of(lstm, x.size(0), x.size(1), weight_ih, weight_hh);
    const int64_t state = shape.envs * shape.units;
    const RnnWeights<const float> weights = weights_of(shape, weight_ih, weight_hh, bias_ih, bias_hh);
    const Tensor output = empty(x, {shape.steps, shape.envs, shape.units});
    const Tensor h_n = empty(x, {shape.envs, shape.units});
    const Tensor c_n = empty(x, {lstm ? shape.envs : 0, shape.units});
    const Tensor saved = empty(x, {save ? shape.envs : 0, shape.saved_per_env()});
    if (save) {
        use_large_pages(data(saved), saved.numel());
    }
    const RnnArgs args{
        .shape = shape,
        .x = abi::input<float>(x, kOp, "x", shape.steps * shape.envs * shape.inputs, weight_ih),
        .dones = abi::flags(dones, kOp, "dones", shape.steps * shape.envs, weight_ih),
        .h_0 = abi::input<float>(h_0, kOp, "h_0", state, weight_ih),
        .c_0 = abi::input<float>(c_0, kOp, "c_0", state, weight_ih),
        .packed = nullptr,
        .output = data(output),
        .h_n = data(h_n),
        .c_n = data(c_n),
        .saved = save ? data(saved) : nullptr,
    };
    rnn_cpu(args, weights, abi::parallel);
    return {output, h_n, c_n, saved};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> rnn_scan_backward(
    const Tensor& grad_output, const Tensor& grad_h_n, const std::optional<Tensor>& grad_c_n,
    const Tensor& dones, const Tensor& saved, const Tensor& weight_ih, const Tensor& weight_hh, bool with_x) {
    RSLCORE_CHECK(grad_output.dim() == 3, kOp, ": the gradient of `output` must be [T, N, H], got ",
                  grad_output.dim(), " dimensions");
    const bool lstm = grad_c_n.has_value();
    const RnnShape shape = shape_of(lstm, grad_output.size(0), grad_output.size(1), weight_ih, weight_hh);
    const int64_t state = shape.envs * shape.units;
    const RnnWeights<const float> weights =
        weights_of(shape, weight_ih, weight_hh, std::nullopt, std::nullopt);
    const int64_t rows = torch_gate_rows(shape);
    const Tensor grad_x = empty(grad_output, {with_x ? shape.steps : 0, shape.envs, shape.inputs});
    const Tensor grad_h_0 = empty(grad_output, {shape.envs, shape.units});
    const Tensor grad_c_0 = empty(grad_output, {lstm ? shape.envs : 0, shape.units});
    const Tensor grad_weight_ih = empty(grad_output, {rows, shape.inputs});
    const Tensor grad_weight_hh = empty(grad_output, {rows, shape.units});
    const Tensor grad_bias_ih = empty(grad_output, {rows});
    const Tensor grad_bias_hh = empty(grad_output, {rows});
    const RnnGradientArgs args{
        .shape = shape,
        .dones = abi::flags(dones, kOp, "dones", shape.steps * shape.envs, weight_ih),
        .grad_output = abi::input<float>(grad_output, kOp, "grad_output", shape.steps * state, weight_ih),
        .grad_h_n = abi::input<float>(grad_h_n, kOp, "grad_h_n", state, weight_ih),
        .grad_c_n = abi::input<float>(grad_c_n, kOp, "grad_c_n", state, weight_ih),
        .saved = abi::input<float>(saved, kOp, "saved", shape.envs * shape.saved_per_env(), weight_ih),
        .packed = nullptr,
        .grad_x = with_x ? data(grad_x) : nullptr,
        .grad_h_0 = data(grad_h_0),
        .grad_c_0 = data(grad_c_0),
        .sums = nullptr,
    };
    const RnnWeights<float> gradients{data(grad_weight_ih), data(grad_weight_hh), data(grad_bias_ih),
                                      data(grad_bias_hh)};
    rnn_gradient_cpu(args, weights, gradients, abi::parallel);
    return {grad_x, grad_h_0, grad_c_0, grad_weight_ih, grad_weight_hh, grad_bias_ih, grad_bias_hh};
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "rnn_scan(Tensor x, Tensor dones, Tensor h_0, Tensor? c_0, Tensor weight_ih, Tensor weight_hh, "
        "Tensor? bias_ih, Tensor? bias_hh, bool save) -> (Tensor, Tensor, Tensor, Tensor)");
    m.def(
        "rnn_scan_backward(Tensor grad_output, Tensor grad_h_n, Tensor? grad_c_n, Tensor dones, Tensor "
        "saved, "
        "Tensor weight_ih, Tensor weight_hh, bool with_x) -> (Tensor, Tensor, Tensor, Tensor, Tensor, "
        "Tensor, "
        "Tensor)");
}

RSLCORE_KERNELS(m) {
    m.impl("rnn_scan", TORCH_BOX(&rnn_scan));
    m.impl("rnn_scan_backward", TORCH_BOX(&rnn_scan_backward));
}

}  // namespace
}  // namespace rslcore
