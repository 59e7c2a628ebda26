// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/cuda.h"
#include "kl_adaptive_lr/kl_adaptive_lr.h"
#include "kl_adaptive_lr/launch.h"

namespace rslcore {
namespace {

template <typename T, typename K>
__global__ void adapt(T* lr, const K* kl, KlAdaptiveLrSettings settings) {
    *lr = static_cast<T>(kl_adapted(static_cast<double>(*lr), static_cast<double>(*kl), settings));
}

}  // namespace

template <typename T, typename K>
int kl_adaptive_lr_cuda(T* lr, const K* kl, const KlAdaptiveLrSettings& settings, void* stream) {
    RSLCORE_LAUNCH((adapt<T, K>), 1, 1, static_cast<cudaStream_t>(stream))(lr, kl, settings);
    return cudaGetLastError();
}

template int kl_adaptive_lr_cuda<float, float>(float*, const float*, const KlAdaptiveLrSettings&, void*);
template int kl_adaptive_lr_cuda<float, double>(float*, const double*, const KlAdaptiveLrSettings&, void*);
template int kl_adaptive_lr_cuda<double, float>(double*, const float*, const KlAdaptiveLrSettings&, void*);
template int kl_adaptive_lr_cuda<double, double>(double*, const double*, const KlAdaptiveLrSettings&, void*);

}  // namespace rslcore
