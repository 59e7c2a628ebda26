// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The loss of some rows on the CPU, for kernels: this operator's own, and the update that computes the rows'
// means and values tile by tile.

#include "common/macros.h"
#include "ppo_loss/launch.h"
#include "ppo_loss/ppo_loss.h"

namespace rslcore::RSLCORE_SIMD {

// Instead of templates of the standard library: an out-of-line copy of one would be compiled for one SIMD
// level and linked into all.
// What does not change from row to row where all share one standard deviation, for columns [column, column +
// width): repeated over a tile.
template <typename T>
struct PpoLossScratch {
    T mean[kPpoLossTile];
    T std[kPpoLossTile];
    T inverse_std[kPpoLossTile];
    T log_std[kPpoLossTile];
    T old_std[kPpoLossTile];
    T surprise[kPpoLossTile];
    T kl[kPpoLossTile];
    T row_surprise[kPpoLossTile];
    T row_log_std[kPpoLossTile];
    T row_kl[kPpoLossTile];
    T row_gradient[kPpoLossTile];  // d loss / d log_prob
    T std_gradient[kPpoLossTile];
};

// `rows` rows of `width` elements, `stride` apart, as one run of memory: in place where they are one already.
template <typename T>
const T* ppo_packed(const T* __restrict from, int64_t stride, int64_t rows, int64_t width, T* __restrict to) {
    if (stride == width || rows == 1) {
        return from;
    }
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t a = 0; a < width; ++a) {
            to[r * width + a] = from[r * stride + a];
        }
    }
    return to;
}

template <typename T>
void ppo_prepare_std(const T* __restrict std, int64_t n, T* __restrict inverse, T* __restrict log) {
    for (int64_t i = 0; i < n; ++i) {
        inverse[i] = T(1) / std[i];
        log[i] = log_std(std[i]);
    }
}

template <typename T>
void ppo_elements(const T* __restrict actions, const T* __restrict mean, const T* __restrict inverse,
                  const T* __restrict log, int64_t n, T* __restrict surprise) {
    for (int64_t i = 0; i < n; ++i) {
        surprise[i] = gaussian_surprise(actions[i], mean[i], inverse[i], log[i]);
    }
}

template <typename T>
void ppo_kl_elements(const T* __restrict old_mean, const T* __restrict old_std, const T* __restrict mean,
                     const T* __restrict std, int64_t n, T* __restrict kl) {
    for (int64_t i = 0; i < n; ++i) {
        kl[i] = gaussian_twice_kl(old_mean[i], old_std[i], mean[i], std[i]);
    }
}

// Adds rows of `width` elements into one sum per row, several rows at a time: one addition waits for the one
// before.
template <int kRows, typename T>
void ppo_add_row_group(const T* __restrict elements, int64_t width, T* __restrict sums) {
    T row[kRows] = {};
    for (int64_t a = 0; a < width; ++a) {
        for (int r = 0; r < kRows; ++r) {
            row[r] += elements[r * width + a];
        }
    }
    for (int r = 0; r < kRows; ++r) {
        sums[r] += row[r];
    }
}
template <typename T>
void ppo_add_rows(const T* elements, int64_t rows, int64_t width, T* sums) {
    int64_t r = 0;
    for (; r + 8 <= rows; r += 8) {
        ppo_add_row_group<8>(elements + r * width, width, sums + r);
    }
    for (; r < rows; ++r) {
        ppo_add_row_group<1>(elements + r * width, width, sums + r);
    }
}

// Losses of rows [first, first + rows) from their log-probabilities; writes d loss / d value.
template <typename T>
void ppo_row_terms(const PpoLossArgs<T>& args, int64_t first, int64_t rows, PpoLossScratch<T>& s,
                   double* sums) {
    const bool clip_value = args.settings.clip_value;
    const T* const old_values = clip_value ? args.old_values : args.returns;
    T* const surrogate = s.surprise;
    T* const value = s.kl;
    for (int64_t r = 0; r < rows; ++r) {
        const PpoSurrogate<T> policy =
            ppo_surrogate(gaussian_log_prob(s.row_surprise[r], args.columns), args.old_log_prob[first + r],
                          args.advantages[first + r], args.settings);
        surrogate[r] = policy.loss;
        s.row_gradient[r] = policy.gradient * args.settings.row_weight;
        s.row_kl[r] = args.old_mean == nullptr ? policy.kl : T(0.5) * s.row_kl[r];
        s.row_surprise[r] = policy.clipped ? T(1) : T(0);
    }
    for (int64_t r = 0; r < rows; ++r) {
        const PpoValue<T> critic = ppo_value(args.values[(first + r) * args.value_stride],
                                             old_values[first + r], args.returns[first + r], args.settings);
        value[r] = critic.loss;
        args.value_gradient[(first + r) * args.value_gradient_stride] =
            critic.gradient * args.settings.value_weight;
    }
    for (int64_t r = 0; r < rows; ++r) {
        sums[kPpoSurrogate] += static_cast<double>(surrogate[r]);
        sums[kPpoValue] += static_cast<double>(value[r]);
        sums[kPpoClipped] += static_cast<double>(s.row_surprise[r]);
    }
    const int64_t samples = smaller(rows, args.samples - first);
    for (int64_t r = 0; r < samples; ++r) {
        sums[kPpoEntropy] += static_cast<double>(gaussian_entropy(s.row_log_std[r], args.columns));
        sums[kPpoKl] += static_cast<double>(s.row_kl[r]);
    }
}

// One row's gradients of the columns [column, column + width).
template <bool kStdRows, typename T>
void ppo_row_gradients(const T* __restrict actions, const T* __restrict mean, const T* __restrict inverse,
                       T gradient, T entropy_weight, int64_t width, T* __restrict mean_gradient,
                       T* __restrict std_gradient) {
    for (int64_t a = 0; a < width; ++a) {
        const PpoAction<T> action = ppo_action(actions[a], mean[a], inverse[a]);
        mean_gradient[a] = gradient * action.mean;
        const T std = gradient * action.std - entropy_weight * inverse[a];
        std_gradient[a] = kStdRows ? std : std_gradient[a] + std;
    }
}

// Rows [first, first + rows), at most kPpoLossTile elements or one row: writes their gradients and adds to
// `sums`.
template <typename T>
void ppo_loss_block(const PpoLossArgs<T>& args, int64_t first, int64_t rows, PpoLossScratch<T>& s,
                    double* sums) {
    const int64_t columns = args.columns;
    const int64_t samples = smaller(rows, args.samples - first);
    const bool shared = args.std_stride == 0;
    for (int64_t r = 0; r < rows; ++r) {
        s.row_surprise[r] = T(0);
        s.row_log_std[r] = T(0);
        s.row_kl[r] = T(0);
    }
    // All rows together, or one wide row piece by piece.
    for (int64_t column = 0; column < columns; column += kPpoLossTile) {
        const int64_t width = smaller(kPpoLossTile, columns - column);
        const int64_t n = rows * width;
        const T* const mean =
            ppo_packed(args.mean + first * args.mean_stride + column, args.mean_stride, rows, width, s.mean);
        const T* const std =
            ppo_packed(args.std + first * args.std_stride + column, args.std_stride, rows, width, s.std);
        const T* const actions = args.actions + first * columns + column;
        ppo_prepare_std(std, n, s.inverse_std, s.log_std);
        ppo_elements(actions, mean, s.inverse_std, s.log_std, n, s.surprise);
        ppo_add_rows(s.surprise, rows, width, s.row_surprise);
        ppo_add_rows(s.log_std, rows, width, s.row_log_std);
        if (args.old_mean != nullptr && samples > 0) {
            const T* const old_std = ppo_packed(args.old_std + first * args.old_std_stride + column,
                                                args.old_std_stride, samples, width, s.old_std);
            ppo_kl_elements(args.old_mean + first * columns + column, old_std, mean, std, samples * width,
                            s.kl);
            ppo_add_rows(s.kl, samples, width, s.row_kl);
        }
    }
    ppo_row_terms(args, first, rows, s, sums);
    for (int64_t column = 0; column < columns; column += kPpoLossTile) {
        const int64_t width = smaller(kPpoLossTile, columns - column);
        for (int64_t a = 0; a < width; ++a) {
            s.std_gradient[a] = T(0);
        }
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t row = first + r;
            const T* const std = args.std + row * args.std_stride + column;
            if (r == 0 || !shared) {
                for (int64_t a = 0; a < width; ++a) {
                    s.inverse_std[a] = T(1) / std[a];
                }
            }
            const T* const actions = args.actions + row * columns + column;
            const T* const mean = args.mean + row * args.mean_stride + column;
            T* const mean_gradient = args.mean_gradient + row * args.mean_gradient_stride + column;
            const T entropy_weight = r < samples ? args.settings.entropy_weight : T(0);
            if (shared) {
                ppo_row_gradients<false>(actions, mean, s.inverse_std, s.row_gradient[r], entropy_weight,
                                         width, mean_gradient, s.std_gradient);
            } else {
                ppo_row_gradients<true>(actions, mean, s.inverse_std, s.row_gradient[r], entropy_weight,
                                        width, mean_gradient,
                                        args.std_gradient + row * args.std_gradient_stride + column);
            }
        }
        for (int64_t a = 0; shared && a < width; ++a) {
            sums[kPpoLossTerms + column + a] += static_cast<double>(s.std_gradient[a]);
        }
    }
}

// Writes the gradients of all rows of `args` and adds their sums to `sums` [ppo_loss_sums(args)].
template <typename T>
void ppo_loss_rows(const PpoLossArgs<T>& args, double* sums) {
    PpoLossScratch<T> scratch;
    const int64_t unit_rows = ppo_loss_unit_rows(args.columns);
    for (int64_t first = 0; first < args.rows; first += unit_rows) {
        ppo_loss_block(args, first, smaller(unit_rows, args.rows - first), scratch, sums);
    }
}

}  // namespace rslcore::RSLCORE_SIMD
