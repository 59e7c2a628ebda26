// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// The seam to torch: the one header that knows the libtorch stable ABI. Every <op>/torch.cpp is compiled
// twice, into librslcore for CPU tensors and, with RSLCORE_CUDA_LIBRARY defined, into librslcore_cuda for
// CUDA tensors; schemas are defined in librslcore only.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/parallel.h"

#if defined(RSLCORE_CUDA_LIBRARY)
#include <torch/csrc/stable/accelerator.h>

#include "common/cuda_status.h"
#define RSLCORE_SCHEMAS(m) \
    [[maybe_unused]] static void rslcore_schemas(torch::stable::detail::StableLibrary& m)
#define RSLCORE_KERNELS(m) STABLE_TORCH_LIBRARY_IMPL(rslcore, CUDA, m)
#else
#define RSLCORE_SCHEMAS(m) STABLE_TORCH_LIBRARY_FRAGMENT(rslcore, m)
#define RSLCORE_KERNELS(m) STABLE_TORCH_LIBRARY_IMPL(rslcore, CPU, m)
#endif

namespace rslcore::abi {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The public functions in Python check arguments and say what is wrong; this guard keeps a direct call of the
// raw operator from reading or writing where it must not.
#define RSLCORE_CHECK(condition, ...) STD_TORCH_CHECK(condition, __VA_ARGS__)

template <typename T>
constexpr ScalarType scalar_type_of() {
    if constexpr (std::is_same_v<T, float>) {
        return ScalarType::Float;
    } else if constexpr (std::is_same_v<T, double>) {
        return ScalarType::Double;
    } else if constexpr (std::is_same_v<T, int64_t>) {
        return ScalarType::Long;
    } else {
        static_assert(std::is_same_v<T, uint8_t>);
        return ScalarType::Byte;
    }
}

inline void check_buffer(const Tensor& x, const char* op, const char* name, ScalarType type, int64_t numel,
                         const Tensor& like) {
    RSLCORE_CHECK(x.scalar_type() == type, op, ": `", name, "` must be ", torch::headeronly::toString(type),
                  ", got ", torch::headeronly::toString(x.scalar_type()));
    RSLCORE_CHECK(x.numel() == numel, op, ": `", name, "` must have ", numel, " elements, got ", x.numel());
    RSLCORE_CHECK(x.is_contiguous(), op, ": `", name, "` must be contiguous, got strides");
    RSLCORE_CHECK(x.is_cuda() == like.is_cuda() && x.get_device_index() == like.get_device_index(), op, ": `",
                  name, "` must be on the device of the other arguments");
}

inline void check_shape(const Tensor& x, const char* op, const char* name, const Tensor& like) {
    bool same = x.dim() == like.dim();
    for (int64_t i = 0; same && i < like.dim(); ++i) {
        same = x.size(i) == like.size(i);
    }
    RSLCORE_CHECK(same, op, ": `", name, "` must have the shape of the other arguments, got another");
}

inline void check_shape(const std::optional<Tensor>& x, const char* op, const char* name,
                        const Tensor& like) {
    if (x.has_value()) {
        check_shape(*x, op, name, like);
    }
}

template <typename T>
const T* input(const Tensor& x, const char* op, const char* name, int64_t numel, const Tensor& like) {
    check_buffer(x, op, name, scalar_type_of<T>(), numel, like);
    return static_cast<const T*>(x.const_data_ptr());
}

template <typename T>
const T* input(const std::optional<Tensor>& x, const char* op, const char* name, int64_t numel,
               const Tensor& like) {
    return x.has_value() ? input<T>(*x, op, name, numel, like) : nullptr;
}

template <typename T>
T* output(const Tensor& x, const char* op, const char* name, int64_t numel, const Tensor& like) {
    check_buffer(x, op, name, scalar_type_of<T>(), numel, like);
    return static_cast<T*>(x.mutable_data_ptr());
}

// Flags stored as bytes: torch.bool holds 0 and 1, torch.uint8 whatever it was given.
inline const uint8_t* flags(const Tensor& x, const char* op, const char* name, int64_t numel,
                            const Tensor& like) {
    const bool is_bool = x.scalar_type() == ScalarType::Bool;
    check_buffer(x, op, name, is_bool ? ScalarType::Bool : ScalarType::Byte, numel, like);
    return static_cast<const uint8_t*>(x.const_data_ptr());
}

inline const uint8_t* flags(const std::optional<Tensor>& x, const char* op, const char* name, int64_t numel,
                            const Tensor& like) {
    return x.has_value() ? flags(*x, op, name, numel, like) : nullptr;
}

// Calls body.template operator()<T>() with the float type of `x`.
template <typename Body>
void dispatch_float(const Tensor& x, const char* op, const char* name, Body&& body) {
    const ScalarType type = x.scalar_type();
    RSLCORE_CHECK(type == ScalarType::Float || type == ScalarType::Double, op, ": `", name,
                  "` must be float32 or float64, got ", torch::headeronly::toString(type));
    if (type == ScalarType::Float) {
        std::forward<Body>(body).template operator()<float>();
    } else {
        std::forward<Body>(body).template operator()<double>();
    }
}

// Uninitialized scratch on the device of `like`; lives as long as the returned tensor (on CUDA: in stream
// order).
inline Tensor scratch(const Tensor& like, ScalarType type, int64_t numel) {
    return torch::stable::new_empty(like, {numel}, type);
}

inline constexpr auto torch_pool = [](int64_t threads, const auto& share) {
    torch::stable::parallel_for(0, threads, 1, [&](int64_t, int64_t) { share(); });
};

// torch's thread pool, in the form that <op>/run_cpu.h asks for. torch's own number of threads, on which its
// sums depend, is the most that are used, and is never changed.
inline constexpr auto parallel = [](int64_t units, int64_t grain, const auto& body) {
    spread(units, grain, torch::stable::get_num_threads(), torch_pool, body);
};

#if defined(RSLCORE_CUDA_LIBRARY)

// Makes the device of `x` current and yields torch's current stream on it.
class DeviceScope {
  public:
    explicit DeviceScope(const Tensor& x) : guard_(x.get_device_index()) {
        TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(x.get_device_index(), &stream_));
    }
    void* stream() const { return stream_; }

  private:
    torch::stable::accelerator::DeviceGuard guard_;
    void* stream_ = nullptr;
};

// `status` is the cudaError_t that a launcher returned.
inline void check_cuda(int status, const char* op) {
    RSLCORE_CHECK(status == 0, op, ": CUDA launch failed: ", cuda_error_text(status));
}

#endif

}  // namespace rslcore::abi
