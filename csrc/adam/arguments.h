// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// From tensors to the arguments of Adam: what clip_adam and ppo_update share.

#include <string>
#include <vector>

#include "adam/launch.h"
#include "common/abi.h"
#include "common/overlap.h"

namespace rslcore {

struct AdamLists {
    const std::vector<abi::Tensor>& params;
    const std::vector<abi::Tensor>& grads;
    const std::vector<abi::Tensor>& exp_avgs;
    const std::vector<abi::Tensor>& exp_avg_sqs;
    const std::vector<abi::Tensor>& steps;
};

// The data of element `i` of a list, of which message texts are made only where they are needed.
template <typename T>
T* adam_target(const char* op, const std::vector<abi::Tensor>& list, const char* name, size_t i,
               int64_t numel, std::vector<MemoryRange>& memory) {
    const abi::Tensor& x = list[i];
    const bool fits = x.scalar_type() == abi::scalar_type_of<T>() && x.numel() == numel &&
                      x.is_contiguous() && !x.is_cuda();
    if (!fits) {
        std::string label = name;
        label.append("[").append(std::to_string(i)).append("]");
        abi::check_buffer(x, op, label.c_str(), abi::scalar_type_of<T>(), numel, list[i]);
        RSLCORE_CHECK(!x.is_cuda(), op, ": `", name, "[", i, "]` must be on cpu, got another device");
    }
    T* const data = static_cast<T*>(x.mutable_data_ptr());
    memory.push_back(
        memory_range(data, numel * static_cast<int64_t>(sizeof(T)), static_cast<int64_t>(memory.size())));
    return data;
}

// All tensors of Adam, each in its group; refuses what does not fit together or shares memory.
template <typename T>
std::vector<AdamTensor<T>> adam_tensors(const char* op, const AdamLists& lists,
                                        const std::vector<int64_t>& group_sizes) {
    const size_t count = lists.params.size();
    RSLCORE_CHECK(lists.grads.size() == count && lists.exp_avgs.size() == count &&
                      lists.exp_avg_sqs.size() == count && lists.steps.size() == count,
                  op, ": all lists must be as long as `params`, got others than ", count);
    std::vector<AdamTensor<T>> tensors;
    std::vector<MemoryRange> memory;
    tensors.reserve(count);
    memory.reserve(5 * count);
    size_t i = 0;
    for (size_t group = 0; group < group_sizes.size(); ++group) {
        const int64_t size = group_sizes[group];
        RSLCORE_CHECK(size >= 0, op, ": `group_sizes` must not be negative, got ", size);
        RSLCORE_CHECK(static_cast<size_t>(size) <= count - i, op, ": `group_sizes` must add up to ", count,
                      ", got more");
        for (const size_t end = i + static_cast<size_t>(size); i < end; ++i) {
            const int64_t numel = lists.params[i].numel();
            tensors.push_back({
                .numel = numel,
                .group = static_cast<int64_t>(group),
                .param = adam_target<T>(op, lists.params, "params", i, numel, memory),
                .grad = adam_target<T>(op, lists.grads, "grads", i, numel, memory),
                .exp_avg = adam_target<T>(op, lists.exp_avgs, "exp_avgs", i, numel, memory),
                .exp_avg_sq = adam_target<T>(op, lists.exp_avg_sqs, "exp_avg_sqs", i, numel, memory),
                .step = adam_target<float>(op, lists.steps, "steps", i, 1, memory),
                .settings = {},
            });
        }
    }
    RSLCORE_CHECK(i == count, op, ": `group_sizes` must add up to ", count, ", got ", i);
    RSLCORE_CHECK(overlapping_target(memory) < 0, op, ": the tensors must share no memory, got two that do");
    return tensors;
}

}  // namespace rslcore
