// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <vector>

#include "common/abi.h"
#include "trajectories/launch.h"
#include "trajectories/overlap.h"
#include "trajectories/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

void split_trajectories(const Tensor& dones, const Tensor& starts, const Tensor& lengths,
                        const Tensor& offsets) {
    constexpr const char* kOp = "split_trajectories";
    RSLCORE_CHECK(dones.dim() == 2, kOp, ": `dones` must be [T, N], got ", dones.dim(), " dimensions");
    const int64_t rows = dones.numel();
    const SplitArgs args{
        .num_steps = dones.size(0),
        .num_envs = dones.size(1),
        .dones = abi::input<uint8_t>(dones, kOp, "dones", rows, dones),
        .starts = abi::output<int64_t>(starts, kOp, "starts", rows, dones),
        .lengths = abi::output<int64_t>(lengths, kOp, "lengths", rows, dones),
        .offsets = abi::output<int64_t>(offsets, kOp, "offsets", dones.size(1) + 1, dones),
    };
    RSLCORE_CHECK(
        !split_overlap(args), kOp,
        ": `starts`, `lengths` and `offsets` must share no memory with `dones` or each other, got two "
        "that do");
#if defined(RSLCORE_CUDA_LIBRARY)
    const abi::DeviceScope device(dones);
    abi::check_cuda(split_trajectories_cuda(args, device.stream()), kOp);
#else
    split_trajectories_cpu(args, abi::parallel);
#endif
}

// Sizes of x [T, N or K, ...] with `second` in the second place.
std::vector<int64_t> sizes_with(const Tensor& x, int64_t second, const char* op, const char* name) {
    RSLCORE_CHECK(x.dim() >= 2, op, ": `", name, "` must have two dimensions or more, got ", x.dim());
    std::vector<int64_t> sizes{x.size(0), second};
    for (int64_t d = 2; d < x.dim(); ++d) {
        sizes.push_back(x.size(d));
    }
    return sizes;
}

// Pads (from [T, N, ...] to [T, K, ...]) or unpads (the other way) into `out`.
void move(const char* op, const char* name, bool pad, const Tensor& x, const Tensor& starts,
          const Tensor& lengths, int64_t num_envs, const Tensor& out) {
    RSLCORE_CHECK(starts.dim() == 1 && lengths.dim() == 1, op, ": `starts` and `lengths` must be [K], got ",
                  starts.dim(), " and ", lengths.dim(), " dimensions");
    const int64_t num_trajectories = starts.numel();
    const int64_t second = pad ? num_envs : num_trajectories;
    RSLCORE_CHECK(num_envs >= 0, op, ": `num_envs` must be >= 0, got ", num_envs);
    RSLCORE_CHECK(x.dim() >= 2 && x.size(1) == second, op, ": `", name, "` must be [T, ", second, ", ...]");
    int64_t row_numel = 1;
    for (int64_t d = 2; d < x.dim(); ++d) {
        row_numel *= x.size(d);
    }
    const int64_t num_steps = x.size(0);
    int64_t target_rows = 0;
    int64_t target_numel = 0;
    RSLCORE_CHECK(!__builtin_mul_overflow(num_steps, pad ? num_trajectories : num_envs, &target_rows) &&
                      !__builtin_mul_overflow(target_rows, row_numel, &target_numel),
                  op, ": `num_envs` must leave fewer than 2^63 elements, got ", num_envs);
    abi::check_buffer(x, op, name, x.scalar_type(), x.numel(), x);
    abi::check_buffer(out, op, "out", x.scalar_type(), target_numel, x);
    const PadArgs args{
        .num_steps = num_steps,
        .num_envs = num_envs,
        .num_trajectories = num_trajectories,
        .row_bytes = row_numel * static_cast<int64_t>(x.element_size()),
        .starts = abi::input<int64_t>(starts, op, "starts", num_trajectories, x),
        .lengths = abi::input<int64_t>(lengths, op, "lengths", num_trajectories, x),
        .source = static_cast<const unsigned char*>(x.const_data_ptr()),
        .target = static_cast<unsigned char*>(out.mutable_data_ptr()),
    };
    RSLCORE_CHECK(!pad_overlap(args, num_steps * second, target_rows), op,
                  ": `out` must share no memory with the other arguments, got an overlap");
#if defined(RSLCORE_CUDA_LIBRARY)
    const abi::DeviceScope device(x);
    abi::check_cuda((pad ? pad_trajectories_cuda : unpad_trajectories_cuda)(args, device.stream()), op);
#else
    const int64_t bad =
        pad ? pad_trajectories_cpu(args, abi::parallel) : unpad_trajectories_cpu(args, abi::parallel);
    RSLCORE_CHECK(bad < 0, op, ": `starts` and `lengths` must be trajectories of a rollout [", num_steps,
                  ", ", num_envs, "] in the order of split_trajectories, got starts[", bad,
                  "] = ", args.starts[bad], ", lengths[", bad, "] = ", args.lengths[bad]);
#endif
}

void pad_trajectories_out(const Tensor& x, const Tensor& starts, const Tensor& lengths, const Tensor& out) {
    constexpr const char* kOp = "pad_trajectories";
    RSLCORE_CHECK(x.dim() >= 2, kOp, ": `x` must be [T, N, ...], got ", x.dim(), " dimensions");
    move(kOp, "x", true, x, starts, lengths, x.size(1), out);
}

Tensor pad_trajectories(const Tensor& x, const Tensor& starts, const Tensor& lengths) {
    const Tensor out =
        torch::stable::new_empty(x, sizes_with(x, starts.numel(), "pad_trajectories", "x"), x.scalar_type());
    pad_trajectories_out(x, starts, lengths, out);
    return out;
}

void unpad_trajectories_out(const Tensor& padded, const Tensor& starts, const Tensor& lengths,
                            int64_t num_envs, const Tensor& out) {
    move("unpad_trajectories", "padded", false, padded, starts, lengths, num_envs, out);
}

Tensor unpad_trajectories(const Tensor& padded, const Tensor& starts, const Tensor& lengths,
                          int64_t num_envs) {
    constexpr const char* kOp = "unpad_trajectories";
    RSLCORE_CHECK(num_envs >= 0, kOp, ": `num_envs` must be >= 0, got ", num_envs);
    const Tensor out =
        torch::stable::new_empty(padded, sizes_with(padded, num_envs, kOp, "padded"), padded.scalar_type());
    unpad_trajectories_out(padded, starts, lengths, num_envs, out);
    return out;
}

RSLCORE_SCHEMAS(m) {
    m.def(
        "split_trajectories(Tensor dones, Tensor(a!) starts, Tensor(b!) lengths, Tensor(c!) offsets) -> ()");
    m.def("pad_trajectories(Tensor x, Tensor starts, Tensor lengths) -> Tensor");
    m.def("pad_trajectories_out(Tensor x, Tensor starts, Tensor lengths, Tensor(a!) out) -> ()");
    m.def("unpad_trajectories(Tensor padded, Tensor starts, Tensor lengths, SymInt num_envs) -> Tensor");
    m.def(
        "unpad_trajectories_out(Tensor padded, Tensor starts, Tensor lengths, SymInt num_envs, "
        "Tensor(a!) out) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("split_trajectories", TORCH_BOX(&split_trajectories));
    m.impl("pad_trajectories", TORCH_BOX(&pad_trajectories));
    m.impl("pad_trajectories_out", TORCH_BOX(&pad_trajectories_out));
    m.impl("unpad_trajectories", TORCH_BOX(&unpad_trajectories));
    m.impl("unpad_trajectories_out", TORCH_BOX(&unpad_trajectories_out));
}

}  // namespace
}  // namespace rslcore
