// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "bindings/arrays.h"
#include "trajectories/overlap.h"
#include "trajectories/run_cpu.h"

namespace rslcore {
namespace {

void split_trajectories(arrays::In<uint8_t> dones, arrays::In<int64_t> starts, arrays::In<int64_t> lengths,
                        arrays::In<int64_t> offsets) {
    constexpr const char* kOp = "split_trajectories";
    arrays::check_dims(dones, kOp, "dones", 2);
    arrays::check_size(starts, kOp, "starts", dones.size());
    arrays::check_size(lengths, kOp, "lengths", dones.size());
    arrays::check_size(offsets, kOp, "offsets", dones.shape(1) + 1);
    const SplitArgs args{
        .num_steps = dones.shape(0),
        .num_envs = dones.shape(1),
        .dones = dones.data(),
        .starts = starts.mutable_data(),
        .lengths = lengths.mutable_data(),
        .offsets = offsets.mutable_data(),
    };
    if (split_overlap(args)) {
        throw py::value_error(
            "split_trajectories: `starts`, `lengths` and `offsets` must share no memory with `dones` or each "
            "other, got two that do");
    }
    const py::gil_scoped_release release;
    split_trajectories_cpu(args, parallel_for);
}

// T x (N or K) rows, whatever their dtype and shape; returns the bytes of one.
int64_t row_bytes(const py::array& x, const std::string& op, const char* name, int64_t num_steps,
                  int64_t second) {
    if (x.ndim() < 2 || x.shape(0) != num_steps || x.shape(1) != second ||
        (x.flags() & py::array::c_style) == 0) {
        throw py::value_error(op + ": `" + name + "` must be a C-contiguous array [" +
                              std::to_string(num_steps) + ", " + std::to_string(second) + ", ...]");
    }
    int64_t bytes = x.itemsize();
    for (py::ssize_t d = 2; d < x.ndim(); ++d) {
        bytes *= x.shape(d);
    }
    return bytes;
}

void move(const std::string& op, bool pad, const py::array& x, const arrays::In<int64_t>& starts,
          const arrays::In<int64_t>& lengths, int64_t num_envs, py::array& out) {
    if (num_envs < 0) {
        throw py::value_error(op + ": `num_envs` must be >= 0, got " + std::to_string(num_envs));
    }
    const int64_t num_trajectories = starts.size();
    const int64_t num_steps = x.ndim() > 0 ? x.shape(0) : 0;
    const int64_t bytes =
        row_bytes(x, op, pad ? "x" : "padded", num_steps, pad ? num_envs : num_trajectories);
    arrays::check_size(lengths, op.c_str(), "lengths", num_trajectories);
    if (row_bytes(out, op, "out", num_steps, pad ? num_trajectories : num_envs) != bytes) {
        throw py::value_error(op + ": `out` must have rows like those of the data");
    }
    const PadArgs args{
        .num_steps = num_steps,
        .num_envs = num_envs,
        .num_trajectories = num_trajectories,
        .row_bytes = bytes,
        .starts = starts.data(),
        .lengths = lengths.data(),
        .source = static_cast<const unsigned char*>(x.data()),
        .target = static_cast<unsigned char*>(out.mutable_data()),
    };
    if (pad_overlap(args, num_steps * x.shape(1), num_steps * out.shape(1))) {
        throw py::value_error(op + ": `out` must share no memory with the other arguments, got an overlap");
    }
    int64_t bad = -1;
    {
        const py::gil_scoped_release release;
        bad = pad ? pad_trajectories_cpu(args, parallel_for) : unpad_trajectories_cpu(args, parallel_for);
    }
    if (bad >= 0) {
        const std::string number = "[" + std::to_string(bad) + "] = ";
        throw py::value_error(
            op + ": `starts` and `lengths` must be trajectories of a rollout [" + std::to_string(num_steps) +
            ", " + std::to_string(num_envs) + "] in the order of split_trajectories, got starts" + number +
            std::to_string(args.starts[bad]) + ", lengths" + number + std::to_string(args.lengths[bad]));
    }
}

void pad_trajectories(const py::array& x, const arrays::In<int64_t>& starts,
                      const arrays::In<int64_t>& lengths, py::array out) {
    move("pad_trajectories", true, x, starts, lengths, x.ndim() > 1 ? x.shape(1) : 0, out);
}

void unpad_trajectories(const py::array& padded, const arrays::In<int64_t>& starts,
                        const arrays::In<int64_t>& lengths, int64_t num_envs, py::array out) {
    move("unpad_trajectories", false, padded, starts, lengths, num_envs, out);
}

}  // namespace

void bind_trajectories(py::module_& m) {
    m.def("split_trajectories", &split_trajectories, py::arg("dones").noconvert(),
          py::arg("starts").noconvert(), py::arg("lengths").noconvert(), py::arg("offsets").noconvert());
    m.def("pad_trajectories", &pad_trajectories, py::arg("x").noconvert(), py::arg("starts").noconvert(),
          py::arg("lengths").noconvert(), py::arg("out").noconvert());
    m.def("unpad_trajectories", &unpad_trajectories, py::arg("padded").noconvert(),
          py::arg("starts").noconvert(), py::arg("lengths").noconvert(), py::arg("num_envs"),
          py::arg("out").noconvert());
}

}  // namespace rslcore
