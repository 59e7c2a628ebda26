// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "common/abi.h"
#include "normalization/launch.h"
#include "normalization/overlap.h"
#include "normalization/run_cpu.h"

namespace rslcore {
namespace {

using abi::Tensor;

// B of x [B, *F]; the features are one dimension to the kernels.
int64_t num_rows(const Tensor& x, const char* op) {
    RSLCORE_CHECK(x.dim() > 0, op, ": `x` must be [B, *F], got []");
    return x.size(0);
}

int64_t num_columns(const Tensor& x, const Tensor& mean) {
    return x.size(0) == 0 ? mean.numel() : x.numel() / x.size(0);
}

template <typename T>
MomentsArgs<T> moments_args(const char* op, const Tensor& x, const Tensor& mean, const Tensor& var,
                            const Tensor& count, std::optional<int64_t> until) {
    const int64_t rows = num_rows(x, op);
    const int64_t columns = num_columns(x, mean);
    const MomentsArgs<T> args{
        .rows = rows,
        .columns = columns,
        .x = abi::input<T>(x, op, "x", x.numel(), x),
        .mean = abi::output<T>(mean, op, "mean", columns, x),
        .var = abi::output<T>(var, op, "var", columns, x),
        .count = abi::output<int64_t>(count, op, "count", 1, x),
        .until = until.value_or(kNoUntil),
    };
    RSLCORE_CHECK(!moments_overlap(args), op,
                  ": `x`, `mean`, `var` and `count` must share no memory, got two that do");
#if !defined(RSLCORE_CUDA_LIBRARY)  // a GPU would have to be waited for: there its kernel leaves all as it is
    RSLCORE_CHECK(*args.count >= 0, op, ": `count` must be >= 0, got ", *args.count);
#endif
    return args;
}

template <typename T>
NormalizeArgs<T> normalize_args(const char* op, const Tensor& x, const Tensor& mean, const Tensor& var,
                                double eps, const Tensor& out) {
    const int64_t numel = x.numel();
    const int64_t rows = num_rows(x, op);
    const int64_t columns = num_columns(x, mean);
    const NormalizeArgs<T> args{
        .rows = rows,
        .columns = columns,
        .x = abi::input<T>(x, op, "x", numel, x),
        .mean = abi::input<T>(mean, op, "mean", columns, x),
        .var = abi::input<T>(var, op, "var", columns, x),
        .eps = static_cast<T>(eps),
        .out = abi::output<T>(out, op, "out", numel, x),
    };
    RSLCORE_CHECK(!normalize_overlap(args), op,
                  ": `out` must be `x` itself or share no memory with the other arguments, got an overlap");
    return args;
}

template <typename T>
void run(const char* op, const MomentsArgs<T>& args, const Tensor& x) {
#if defined(RSLCORE_CUDA_LIBRARY)
    const abi::DeviceScope device(x);
    const Tensor scratch =
        abi::scratch(x, abi::ScalarType::Double, moments_scratch_doubles(args.rows, args.columns));
    double* const data = static_cast<double*>(scratch.mutable_data_ptr());
    abi::check_cuda(update_moments_cuda<T>(args, data, device.stream()), op);
#else
    static_cast<void>(op);
    static_cast<void>(x);
    update_moments_cpu<T>(args, abi::parallel);
#endif
}

template <typename T>
void run(const char* op, const NormalizeArgs<T>& args, const Tensor& x) {
#if defined(RSLCORE_CUDA_LIBRARY)
    const abi::DeviceScope device(x);
    abi::check_cuda(normalize_cuda<T>(args, device.stream()), op);
#else
    static_cast<void>(op);
    static_cast<void>(x);
    normalize_cpu<T>(args, abi::parallel);
#endif
}

void update_moments(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& count,
                    std::optional<int64_t> until) {
    constexpr const char* kOp = "update_moments";
    abi::dispatch_float(x, kOp, "x",
                        [&]<typename T>() { run(kOp, moments_args<T>(kOp, x, mean, var, count, until), x); });
}

void normalize_out(const Tensor& x, const Tensor& mean, const Tensor& var, double eps, const Tensor& out) {
    constexpr const char* kOp = "normalize";
    abi::dispatch_float(x, kOp, "x",
                        [&]<typename T>() { run(kOp, normalize_args<T>(kOp, x, mean, var, eps, out), x); });
}

Tensor normalize(const Tensor& x, const Tensor& mean, const Tensor& var, double eps) {
    const Tensor out = torch::stable::empty_like(x);
    normalize_out(x, mean, var, eps, out);
    return out;
}

void update_and_normalize(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& count,
                          double eps, std::optional<int64_t> until, const Tensor& out) {
    constexpr const char* kOp = "update_and_normalize";
    abi::dispatch_float(x, kOp, "x", [&]<typename T>() {
        const MomentsArgs<T> moments = moments_args<T>(kOp, x, mean, var, count, until);
        const NormalizeArgs<T> rows = normalize_args<T>(kOp, x, mean, var, eps, out);
        run(kOp, moments, x);
        run(kOp, rows, x);
    });
}

void discounted_return(const Tensor& rewards, const Tensor& running, double gamma) {
    constexpr const char* kOp = "discounted_return";
    abi::dispatch_float(rewards, kOp, "rewards", [&]<typename T>() {
        const int64_t numel = rewards.numel();
        const T* const in = abi::input<T>(rewards, kOp, "rewards", numel, rewards);
        T* const out = abi::output<T>(running, kOp, "running", numel, rewards);
        abi::check_shape(running, kOp, "running", rewards);
        RSLCORE_CHECK(out + numel <= in || in + numel <= out, kOp,
                      ": `running` must share no memory with `rewards`, got an overlap");
#if defined(RSLCORE_CUDA_LIBRARY)
        const abi::DeviceScope device(rewards);
        abi::check_cuda(discounted_return_cuda<T>(in, out, static_cast<T>(gamma), numel, device.stream()),
                        kOp);
#else
        discounted_return_cpu<T>(in, out, static_cast<T>(gamma), numel, abi::parallel);
#endif
    });
}

RSLCORE_SCHEMAS(m) {
    m.def("update_moments(Tensor x, Tensor(a!) mean, Tensor(b!) var, Tensor(c!) count, int? until) -> ()");
    m.def("normalize(Tensor x, Tensor mean, Tensor var, float eps) -> Tensor");
    m.def("normalize_out(Tensor x, Tensor mean, Tensor var, float eps, Tensor(a!) out) -> ()");
    m.def(
        "update_and_normalize(Tensor x, Tensor(a!) mean, Tensor(b!) var, Tensor(c!) count, float eps, "
        "int? until, Tensor(d!) out) -> ()");
    m.def("discounted_return(Tensor rewards, Tensor(a!) running, float gamma) -> ()");
}

RSLCORE_KERNELS(m) {
    m.impl("update_moments", TORCH_BOX(&update_moments));
    m.impl("normalize", TORCH_BOX(&normalize));
    m.impl("normalize_out", TORCH_BOX(&normalize_out));
    m.impl("update_and_normalize", TORCH_BOX(&update_and_normalize));
    m.impl("discounted_return", TORCH_BOX(&discounted_return));
}

}  // namespace
}  // namespace rslcore
