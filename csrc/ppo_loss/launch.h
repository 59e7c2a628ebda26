// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <cstdint>

#include "common/macros.h"
#include "common/simd.h"
#include "ppo_loss/ppo_loss.h"

namespace rslcore {

// What the update computes anew may lie in wider rows (tiles of a network's outputs, padded to whole
// vectors): strides are in elements between rows.
template <typename T>
struct PpoLossArgs {
    int64_t rows;                 // B
    int64_t samples;              // S <= B: the leading rows that count for entropy and KL
    int64_t columns;              // A
    const T* mean;                // [B, A]
    int64_t mean_stride;          //
    const T* std;                 // [B, A], or [A] if std_stride is 0
    int64_t std_stride;           //
    const T* values;              // [B]
    int64_t value_stride;         //
    const T* actions;             // [B, A]
    const T* old_log_prob;        // [B]
    const T* advantages;          // [B]
    const T* returns;             // [B]
    const T* old_values;          // [B], or nullptr: the value loss is not clipped
    const T* old_mean;            // [S, A], or nullptr: KL is estimated from the actions
    const T* old_std;             // [S, A], or [A] if old_std_stride is 0; nullptr if old_mean is
    int64_t old_std_stride;       //
    PpoLossSettings<T> settings;  // of the whole minibatch, where these rows are a part of it
    T* mean_gradient;             // [B, A]
    int64_t mean_gradient_stride;
    T* std_gradient;  // [B, A] if every row has a std of its own, else not used: the sum follows the terms
    int64_t std_gradient_stride;
    T* value_gradient;  // [B]
    int64_t value_gradient_stride;
};

// Sums over rows: kPpoLossTerms terms, then d loss / d std [A] where all rows share it.
template <typename T>
RSLCORE_HD int64_t ppo_loss_sums(const PpoLossArgs<T>& args) {
    return kPpoLossTerms + (args.std_stride == 0 ? args.columns : 0);
}

// CPU. Units of whole rows with some kPpoLossTile elements in all, by shape alone.
inline constexpr int64_t kPpoLossTile = 1024;

RSLCORE_HD int64_t ppo_loss_unit_rows(int64_t columns) {
    return columns > 1 && columns < kPpoLossTile ? kPpoLossTile / columns : columns > 1 ? 1 : kPpoLossTile;
}

RSLCORE_EACH_SIMD_LEVEL(
    // The units [begin, end); the sums of unit u at sums + u * ppo_loss_sums(args).
    template <typename T>
    void ppo_loss_units(const PpoLossArgs<T>& args, double* sums, int64_t begin, int64_t end);)

// CUDA. Needs a scratch of ppo_loss_scratch_doubles(args) float64. Returns cudaError_t.
template <typename T>
int64_t ppo_loss_scratch_doubles(const PpoLossArgs<T>& args);
template <typename T>
int ppo_loss_cuda(const PpoLossArgs<T>& args, double* scratch, T* loss, T* stats, T* std_gradient,
                  void* stream);

}  // namespace rslcore
