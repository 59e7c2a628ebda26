// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "ppo_loss/launch.h"
#include "ppo_loss/rows.h"

namespace rslcore::RSLCORE_SIMD {

template <typename T>
void ppo_loss_units(const PpoLossArgs<T>& args, double* sums, int64_t begin, int64_t end) {
    PpoLossScratch<T> scratch;
    const int64_t unit_rows = ppo_loss_unit_rows(args.columns);
    const int64_t width = ppo_loss_sums(args);
    for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t first = unit * unit_rows;
        double* const partial = sums + unit * width;
        for (int64_t i = 0; i < width; ++i) {
            partial[i] = 0.0;
        }
        ppo_loss_block(args, first, smaller(unit_rows, args.rows - first), scratch, partial);
    }
}

template void ppo_loss_units<float>(const PpoLossArgs<float>&, double*, int64_t, int64_t);
template void ppo_loss_units<double>(const PpoLossArgs<double>&, double*, int64_t, int64_t);

}  // namespace rslcore::RSLCORE_SIMD
