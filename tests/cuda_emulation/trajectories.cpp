// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "trajectories/run_cpu.h"

#include "check.h"

namespace {

using Bytes = std::vector<unsigned char>;
using Integers = std::vector<int64_t>;

// Starts, lengths and offsets.
using Split = std::tuple<Integers, Integers, Integers>;

Split split(int64_t num_steps, int64_t num_envs, double probability) {
    check::begin("split_trajectories: " + std::to_string(num_steps) + " x " + std::to_string(num_envs) +
                 ", done with " + std::to_string(probability));
    check::Random random(num_steps * 10007 + num_envs);
    const int64_t rows = num_steps * num_envs;
    const std::vector<uint8_t> dones = check::flags(random, rows, probability);
    const auto run = [&](const auto& operation) {
        Integers starts = check::garbage<int64_t>(rows);
        Integers lengths = check::garbage<int64_t>(rows);
        Integers offsets = check::garbage<int64_t>(num_envs + 1);
        operation(rslcore::SplitArgs{
            .num_steps = num_steps,
            .num_envs = num_envs,
            .dones = dones.data(),
            .starts = starts.data(),
            .lengths = lengths.data(),
            .offsets = offsets.data(),
        });
        return Split(starts, lengths, offsets);
    };
    const Split expected =
        run([](const auto& args) { rslcore::split_trajectories_cpu(args, check::serial); });
    const Split emulated = check::emulate([&](void* stream) {
        return run(
            [&](const auto& args) { check::launched(rslcore::split_trajectories_cuda(args, stream)); });
    });
    check::equal("starts", std::get<0>(emulated), std::get<0>(expected));
    check::equal("lengths", std::get<1>(emulated), std::get<1>(expected));
    check::equal("offsets", std::get<2>(emulated), std::get<2>(expected));
    return expected;
}

// Trajectories `first` through `last` - 1 of a rollout, padded and put back; rows of `row_bytes` bytes lie
// `skew` bytes off the alignment that memory has by itself. What `outside` says is no trajectory is not
// touched.
void move(int64_t num_steps, int64_t num_envs, const Split& split, int64_t first, int64_t last,
          int64_t row_bytes, int64_t skew, bool outside) {
    check::begin("pad, unpad: " + std::to_string(num_steps) + " x " + std::to_string(num_envs) + ", " +
                 std::to_string(first) + ".." + std::to_string(last) + ", rows of " +
                 std::to_string(row_bytes) + " bytes, skew " + std::to_string(skew) +
                 (outside ? ", some outside" : ""));
    const auto cut = [&](const Integers& x) { return Integers(x.begin() + first, x.begin() + last); };
    Integers starts = cut(std::get<0>(split));
    Integers lengths = cut(std::get<1>(split));
    check::Random random(num_steps * 10007 + num_envs + row_bytes);
    const int64_t rollout_bytes = num_steps * num_envs * row_bytes;
    const int64_t padded_bytes = num_steps * (last - first) * row_bytes;
    const auto random_bytes = [&](int64_t n) {
        Bytes bytes(skew + n);
        for (unsigned char& byte : bytes) {
            byte = static_cast<unsigned char>(random());
        }
        return bytes;
    };
    const auto run = [&](const Bytes& source, int64_t target_bytes, const auto& operation) {
        Bytes target = check::garbage<unsigned char>(skew + target_bytes);
        operation(rslcore::PadArgs{
            .num_steps = num_steps,
            .num_envs = num_envs,
            .num_trajectories = last - first,
            .row_bytes = row_bytes,
            .starts = starts.data(),
            .lengths = lengths.data(),
            .source = source.data() + skew,
            .target = target.data() + skew,
        });
        return std::tuple(target);
    };
    const Bytes rollout = random_bytes(rollout_bytes);
    const Bytes padded = random_bytes(padded_bytes);
    const auto [expected_padded] = run(rollout, padded_bytes, [](const auto& args) {
        check::that(rslcore::pad_trajectories_cpu(args, check::serial) < 0, "the CPU refused");
    });
    const auto [expected_rollout] = run(padded, rollout_bytes, [](const auto& args) {
        check::that(rslcore::unpad_trajectories_cpu(args, check::serial) < 0, "the CPU refused");
    });
    if (outside) {  // a trajectory without steps is padding and nothing else; so is one outside the rollout
        constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
        for (size_t k = 0; k < starts.size(); ++k) {
            if (lengths[k] == 0) {
                const Integers places{-1, -kFar, num_steps * num_envs, kFar};
                starts[k] = places[k % places.size()];
                lengths[k] = kFar;
            }
        }
    }
    const auto [emulated_padded] = check::emulate([&](void* stream) {
        return run(rollout, padded_bytes,
                   [&](const auto& args) { check::launched(rslcore::pad_trajectories_cuda(args, stream)); });
    });
    const auto [emulated_rollout] = check::emulate([&](void* stream) {
        return run(padded, rollout_bytes, [&](const auto& args) {
            check::launched(rslcore::unpad_trajectories_cuda(args, stream));
        });
    });
    check::equal("padded", emulated_padded, expected_padded);
    check::equal("rollout", emulated_rollout, expected_rollout);
}

void rollout(int64_t num_steps, int64_t num_envs, double probability, const Integers& row_sizes) {
    const Split all = split(num_steps, num_envs, probability);
    const int64_t count = std::get<2>(all).back();
    const int64_t capacity = num_steps * num_envs;
    for (const int64_t bytes : row_sizes) {
        move(num_steps, num_envs, all, 0, count, bytes, 0, false);
    }
    for (const int64_t skew : {1, 2, 4, 8}) {
        move(num_steps, num_envs, all, 0, count, 48, skew, false);
    }
    move(num_steps, num_envs, all, count / 3, count / 2, 12, 0, false);  // some of them
    move(num_steps, num_envs, all, 0, capacity, 4, 0, true);             // with those that have no steps
}

}  // namespace

int main() {
    const Integers row_sizes = {0, 1, 2, 3, 4, 6, 8, 16, 20, 48, 68};
    rollout(1, 1, 0.0, row_sizes);
    rollout(7, 5, 0.3, row_sizes);
    rollout(5, 9, 1.0, {4, 48});
    rollout(9, 1, 0.2, {4, 48});
    rollout(3, 263, 0.1, {4, 12});                    // more environments than a block has threads
    rollout(3, 2, 0.5, {16 * 1024, 16 * 1024 + 16});  // rows of more than one block
    split(4, 2 * 256 + 1, 0.5);                       // pieces of several environments per thread
    split(0, 3, 0.0);
    split(3, 0, 0.0);
    return check::done();
}
