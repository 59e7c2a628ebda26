// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include "shuffle/run_cpu.h"

#include <numeric>

#include "check.h"

namespace {

using Bytes = std::vector<unsigned char>;

// With `counted`, the kernel reads a part of the number of the permutation from memory.
void permutation(int64_t n, uint64_t seed, uint64_t offset, bool counted) {
    check::begin("permutation: n " + std::to_string(n) + " seed " + std::to_string(seed) +
                 (counted ? " counter" : ""));
    const std::vector<int64_t> counter{int64_t{1} << 33};
    std::vector<int64_t> out = check::garbage<int64_t>(n);
    rslcore::permutation_cpu(n, seed, offset, out.data(), check::serial);
    const auto [emulated] = check::emulate([&](void* stream) {
        std::vector<int64_t> images = check::garbage<int64_t>(n);
        check::launched(rslcore::permutation_cuda(n, seed, counted ? offset - counter[0] : offset,
                                                  counted ? counter.data() : nullptr, images.data(), stream));
        return std::tuple(images);
    });
    check::equal("out", emulated, out);
}

// Fields of the given row sizes, `skew` bytes off the alignment that memory has by itself. With `outside`,
// two indices point before and behind the rows: the emulation must leave their targets alone.
void shuffle_rows(int64_t rows, int64_t n, const std::vector<int64_t>& row_bytes, int64_t skew,
                  bool outside) {
    check::begin("shuffle_rows: " + std::to_string(n) + " of " + std::to_string(rows) + " rows, " +
                 std::to_string(row_bytes.size()) + " fields from " + std::to_string(row_bytes.front()) +
                 " bytes, skew " + std::to_string(skew) + (outside ? ", index outside" : ""));
    check::Random random(rows * 10007 + n);
    std::vector<int64_t> index(n);
    for (int64_t& i : index) {
        i = std::uniform_int_distribution<int64_t>(0, rows - 1)(random);
    }
    std::vector<Bytes> sources;
    for (const int64_t bytes : row_bytes) {
        Bytes& source = sources.emplace_back(skew + rows * bytes);
        for (unsigned char& byte : source) {
            byte = static_cast<unsigned char>(random());
        }
    }
    const auto run = [&](const auto& operation) {
        std::vector<Bytes> targets;
        std::vector<rslcore::ShuffleField> fields;
        for (size_t i = 0; i < row_bytes.size(); ++i) {
            Bytes& target = targets.emplace_back(check::garbage<unsigned char>(skew + n * row_bytes[i]));
            fields.push_back({
                .source = sources[i].data() + skew,
                .target = target.data() + skew,
                .row_bytes = row_bytes[i],
            });
        }
        operation(fields);
        Bytes all;
        for (const Bytes& target : targets) {
            all.insert(all.end(), target.begin(), target.end());
        }
        return std::tuple(all);
    };
    auto [expected] = run([&](const auto& fields) {
        rslcore::shuffle_rows_cpu(fields.data(), static_cast<int64_t>(fields.size()), index.data(), n, rows,
                                  check::serial);
    });
    if (outside) {
        index.front() = -1;
        index.back() = rows;
        int64_t field = 0;
        for (const int64_t bytes : row_bytes) {
            for (const int64_t row : {int64_t{0}, n - 1}) {
                std::memset(expected.data() + field + skew + row * bytes, cuda_shim::kGarbage, bytes);
            }
            field += skew + n * bytes;
        }
    }
    const auto [emulated] = check::emulate([&](void* stream) {
        return run([&](const auto& fields) {
            check::launched(rslcore::shuffle_rows_cuda(fields.data(), static_cast<int64_t>(fields.size()),
                                                       index.data(), n, rows, stream));
        });
    });
    check::equal("bytes of all targets", emulated, expected);
}

}  // namespace

int main() {
    for (const int64_t n : {0, 1, 2, 3, 16, 17, 255, 256, 257, 1021}) {
        permutation(n, 7, 0, n % 2 == 0);
        permutation(n, 0x123456789abcdefu, uint64_t{1} << 40, n % 2 != 0);
    }
    const std::vector<int64_t> usual = {48 * 4, 12 * 4, 4, 1, 0, 3, 6, 20, 8, 17};
    for (const int64_t n : {1, 2, 37, 257}) {
        for (const int64_t skew : {0, 1, 2, 4, 8}) {
            shuffle_rows(101, n, usual, skew, false);
        }
        shuffle_rows(101, n, usual, 0, true);
    }
    shuffle_rows(1, 5, {1}, 0, false);
    shuffle_rows(1, 0, {4, 8}, 0, false);
    shuffle_rows(5, 7, {4 * 1024 * 4 + 4, 16 * 1024, 16 * 1024 + 16}, 0,
                 false);            // rows of more than one block
    std::vector<int64_t> many(67);  // more fields than one launch takes
    std::iota(many.begin(), many.end(), 0);
    shuffle_rows(11, 13, many, 0, false);
    return check::done();
}
