// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include "kl_adaptive_lr/kl_adaptive_lr.h"

namespace rslcore {

// CUDA. Updates *lr from *kl, on the device. Returns cudaError_t.
template <typename T, typename K>
int kl_adaptive_lr_cuda(T* lr, const K* kl, const KlAdaptiveLrSettings& settings, void* stream);

}  // namespace rslcore
