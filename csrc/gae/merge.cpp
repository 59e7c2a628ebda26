// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <algorithm>
#include <cmath>

#include "gae/gae.h"
#include "gae/launch.h"

namespace rslcore {

// Chan, Golub and LeVeque 1983: pairwise merge of means and sums of squares, in tile order.
GaeScale gae_merge(const GaePartial* partials, int64_t num_steps, int64_t num_envs) {
    const int64_t tile = gae_tile(num_envs);
    double count = 0.0;
    double mean = 0.0;
    double squares = 0.0;
    for (int64_t i = 0; i < gae_num_tiles(num_envs); ++i) {
        const double n = static_cast<double>(num_steps * std::min(tile, num_envs - i * tile));
        const double tile_mean = partials[i].shift + partials[i].sum / n;
        const double tile_squares = partials[i].square - partials[i].sum * partials[i].sum / n;
        const double delta = tile_mean - mean;
        const double total = count + n;
        mean += delta * n / total;
        squares += tile_squares + delta * delta * count * n / total;
        count = total;
    }
    return {mean, advantage_scale(std::sqrt(std::max(squares, 0.0) / (count - 1.0)))};
}

}  // namespace rslcore
