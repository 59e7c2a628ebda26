// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "mlp/activation.h"
#include "mlp/gemm.h"
#include "normalization/normalization.h"
#include "policy_step/launch.h"

// Activations lie feature by feature, [feature][row], in panels of kGemmColumns rows of the batch: that is
// the form in which gemm wants its second operand, the first are the weights as torch keeps them, and the
// product has the same form again. So nothing is packed, which would cost as much as the products of a small
// network over a small batch.

namespace rslcore::RSLCORE_SIMD {
namespace {

// The rows of a tile, cut into panels.
struct Panels {
    int64_t rows;

    int64_t count() const { return (rows + kGemmColumns - 1) / kGemmColumns; }
    int64_t filled(int64_t panel) const { return smaller(kGemmColumns, rows - panel * kGemmColumns); }
    int64_t width(int64_t panel) const { return filled(panel) > kVectorLanes ? kGemmColumns : kVectorLanes; }
};

// What becomes of the sums of a layer.
template <typename Function>
struct Layer {
    const float* bias;

    [[gnu::always_inline]] Vector operator()(int64_t m, int64_t, Vector sum) const {
        return Function::apply(sum + vector_set(bias[m])).value;
    }
};

// to[d][r] = from[r][d], normalized, and zero beyond the last row.
void load_group(const float* from, int64_t width, const float* mean, const float* scale, int64_t filled,
                int64_t panel_width, float* to) {
    for (int64_t d = 0; d < width; ++d) {
        for (int64_t r = 0; r < filled; ++r) {
            to[r] = from[r * width + d];
        }
        for (int64_t r = filled; r < panel_width; ++r) {
            to[r] = 0.0f;
        }
        if (mean != nullptr) {
            const float shift = mean[d];
            const float factor = scale[d];
            for (int64_t r = 0; r < panel_width; ++r) {
                to[r] = normalized(to[r], shift, factor);
            }
        }
        to += panel_width;
    }
}

void load(const PolicyNetwork& network, int64_t first, const Panels& panels, const float* scale, float* to) {
    const int64_t depth = network.sizes[0];
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
        const int64_t row = first + panel * kGemmColumns;
        const int64_t width = panels.width(panel);
        int64_t feature = 0;
        for (int64_t g = 0; g < network.num_groups; ++g) {
            const int64_t features = network.widths[g];
            const float* const mean = network.mean == nullptr ? nullptr : network.mean + feature;
            load_group(network.groups[g] + row * features, features, mean, scale + feature,
                       panels.filled(panel), width, to + panel * depth * kGemmColumns + feature * width);
            feature += features;
        }
    }
}

template <typename Function>
void forward(int64_t in, int64_t out, const float* weight, const float* bias, const Panels& panels,
             const Function&, const float* from, float* to) {
    // Some rows of the weights stay in the first cache while all panels pass by.
    for (int64_t m = 0; m < out; m += kGemmRows) {
        const int64_t features = smaller(kGemmRows, out - m);
        const Layer<Function> layer{bias + m};
        for (int64_t panel = 0; panel < panels.count(); ++panel) {
            const int64_t width = panels.width(panel);
            gemm(features, width, in, weight + m * in, in, from + panel * in * kGemmColumns, {},
                 to + panel * out * kGemmColumns + m * width, width, layer);
        }
    }
}

}  // namespace

void policy_network_tile(const PolicyNetwork& network, int64_t rows, int64_t tile, float* scratch) {
    const int64_t first = tile * kPolicyTile;
    const Panels panels{smaller(kPolicyTile, rows - first)};
    const int64_t inputs = network.sizes[0];
    float* scale = scratch;
    float* from = scale + mlp_padded(inputs);
    float* to = from + kPolicyTile * policy_widest(network);
    if (network.mean != nullptr) {
        for (int64_t d = 0; d < inputs; ++d) {
            scale[d] = normalizer_scale(network.var[d], network.eps);
        }
    }
    load(network, first, panels, scale, from);
    const int64_t last = network.num_layers - 1;
    for (int64_t l = 0; l <= last; ++l) {
        const int64_t in = network.sizes[l];
        const int64_t out = network.sizes[l + 1];
        const auto layer = [&](const auto& function) {
            forward(in, out, network.weights[l], network.biases[l], panels, function, from, to);
        };
        if (l == last) {
            layer(Identity{});
        } else {
            with_activation(network.activation, layer);
        }
        float* const swapped = from;
        from = to;
        to = swapped;
    }
    const int64_t outputs = network.sizes[network.num_layers];
    for (int64_t panel = 0; panel < panels.count(); ++panel) {
        const float* const results = from + panel * outputs * kGemmColumns;
        const int64_t width = panels.width(panel);
        float* const target = network.output + (first + panel * kGemmColumns) * outputs;
        for (int64_t r = 0; r < panels.filled(panel); ++r) {
            for (int64_t a = 0; a < outputs; ++a) {
                target[r * outputs + a] = results[a * width + r];
            }
        }
    }
}

}  // namespace rslcore::RSLCORE_SIMD
