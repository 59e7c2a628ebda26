// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#include <cstring>

#include "mlp/gemm.h"
#include "rnn/cell.h"
#include "rnn/launch.h"
#include "rnn/matrix.h"

namespace rslcore::RSLCORE_SIMD {
namespace {

// Buffers of a tile of `envs` environments: step t of `rows` begins at rows + t * row_step.
struct Tile {
    int64_t first;  // environment
    int64_t envs;   //
    float* rows;    // [T + 1, envs, row_stride]
    float* cells;   // [T + 1, envs, state_stride], LSTM
    float* gates;   // [T, envs, gate_stride]
    int64_t row_step;
    int64_t cell_step;
    int64_t gate_step;
};

// `keep`: every step has a place of its own; otherwise all share one.
Tile tile_at(const RnnShape& s, int64_t first, int64_t envs, float* memory, bool keep) {
    const int64_t places = keep ? s.steps + 1 : 1;
    const int64_t row = envs * s.row_stride();
    const int64_t cell = s.cell == RnnCell::lstm ? envs * s.state_stride() : 0;
    const int64_t gate = envs * s.gate_stride();
    float* cells = memory + places * row;
    float* gates = cells + places * cell;
    return {first, envs, memory, cells, gates, keep ? row : 0, keep ? cell : 0, keep ? gate : 0};
}

void copy_state(const float* from, int64_t units, float* to, int64_t padded) {
    copy_floats(from, units, to);
    std::memset(to + units, 0, sizeof(float) * static_cast<size_t>(padded - units));
}

void clear(float* to, int64_t n) {
    std::memset(to, 0, sizeof(float) * static_cast<size_t>(n));
}

// Zeros behind the first `width` elements of each row.
void clear_rest(float* rows, int64_t count, int64_t width, int64_t stride) {
    for (int64_t r = 0; r < count; ++r) {
        clear(rows + r * stride + width, stride - width);
    }
}

void load_inputs(const RnnArgs& args, const Tile& tile, int64_t t, float* rows) {
    const RnnShape& s = args.shape;
    const float* x = args.x + (t * s.envs + tile.first) * s.inputs;
    for (int64_t e = 0; e < tile.envs; ++e) {
        float* row = rows + e * s.row_stride();
        row[s.padded_units()] = 1.0f;
        copy_floats(x + e * s.inputs, s.inputs, row + s.first_input());
        clear(row + s.last_one(), s.row_stride() - s.last_one());
        row[s.last_one()] = 1.0f;
    }
}

void run_tile(const RnnArgs& args, const Tile& tile) {
    const RnnShape& s = args.shape;
    const int64_t units = s.padded_units();
    const bool lstm = s.cell == RnnCell::lstm;
    const RnnBlocks blocks = blocks_of(s);
    for (int64_t e = 0; e < tile.envs; ++e) {
        copy_state(args.h_0 + (tile.first + e) * s.units, s.units, tile.rows + e * s.row_stride(), units);
        if (lstm) {
            copy_state(args.c_0 + (tile.first + e) * s.units, s.units, tile.cells + e * s.state_stride(),
                       units);
        }
    }
    for (int64_t t = 0; t < s.steps; ++t) {
        float* rows = tile.rows + t * tile.row_step;
        float* gates = tile.gates + t * tile.gate_step;
        load_inputs(args, tile, t, rows);
        const float* packed = args.packed;
        for (int b = 0; b < blocks.count; ++b) {
            const RnnBlock& block = blocks.block[b];
            gemm(tile.envs, block.gates, block.columns, rows + block.column, s.row_stride(), packed, {},
                 gates + block.gate, s.gate_stride());
            packed += mlp_packed_size(block.columns, block.gates);
        }
        float* next = rows + tile.row_step;
        for (int64_t e = 0; e < tile.envs; ++e) {
            const int64_t env = t * s.envs + tile.first + e;
            float* h = next + e * s.row_stride();
            float* gate = gates + e * s.gate_stride();
            float* c = nullptr;
            if (lstm) {
                const float* before = tile.cells + t * tile.cell_step + e * s.state_stride();
                c = tile.cells + (t + 1) * tile.cell_step + e * s.state_stride();
                lstm_step(units, gate, before, c, h);
            } else {
                gru_step(units, gate, rows + e * s.row_stride(), h);
            }
            copy_floats(h, s.units, args.output + env * s.units);
            if (args.dones[env] != 0) {
                clear(h, units);
                if (lstm) {
                    clear(c, units);
                }
            }
            clear(gate + s.gate_width(), s.gate_stride() - s.gate_width());
        }
    }
    if (tile.row_step > 0) {  // nothing that is saved stays undefined
        clear_rest(tile.rows + s.steps * tile.row_step, tile.envs, units, s.row_stride());
        if (lstm) {
            clear_rest(tile.cells, (s.steps + 1) * tile.envs, units, s.state_stride());
        }
    }
    for (int64_t e = 0; e < tile.envs; ++e) {
        const int64_t at = (tile.first + e) * s.units;
        copy_floats(tile.rows + s.steps * tile.row_step + e * s.row_stride(), s.units, args.h_n + at);
        if (lstm) {
            copy_floats(tile.cells + s.steps * tile.cell_step + e * s.state_stride(), s.units, args.c_n + at);
        }
    }
}

// Gradient with respect to the columns of `block`: through one gate after the other, so that what is packed
// of each stays in the first cache.
void back(const RnnShape& s, const RnnBlock& block, int64_t envs, const float* grads, const float* packed,
          GemmStart start, float* to, int64_t stride) {
    const int64_t units = s.padded_units();
    for (int64_t gate = block.gate; gate < block.gate + block.gates; gate += units) {
        gemm(envs, block.columns, units, grads + gate, s.gate_stride(), packed, start, to, stride);
        packed += mlp_packed_size(units, block.columns);
        start = {to, stride};
    }
}

// Rows of gate gradients that are summed into the gradient of the matrix at a time.
constexpr int64_t kSumRows = 256;

int64_t steps_per_sum(const RnnShape& s, int64_t envs) {
    const int64_t steps = kSumRows / (envs > 0 ? envs : 1);
    return smaller(steps < 1 ? 1 : steps, s.steps < 1 ? 1 : s.steps);
}

void run_gradient_tile(const RnnGradientArgs& args, const Tile& tile, float* scratch, float* sums) {
    const RnnShape& s = args.shape;
    const int64_t units = s.padded_units();
    const bool lstm = s.cell == RnnCell::lstm;
    const RnnBlocks blocks = blocks_of(s);
    const RnnBlock hidden = hidden_gates(s);
    const RnnBlock input = input_gates(s);
    const int64_t batch = steps_per_sum(s, tile.envs);
    const int64_t state = s.state_stride();
    float* carry_h = scratch;
    float* carry_c = carry_h + tile.envs * state;
    float* grad_x = carry_c + tile.envs * state;
    float* grad_gates = grad_x + tile.envs * mlp_stride(s.inputs);
    const float* packed_x = args.packed + mlp_packed_size(hidden.gates, hidden.columns);
    for (int64_t e = 0; e < tile.envs; ++e) {
        const int64_t at = (tile.first + e) * s.units;
        copy_state(args.grad_h_n + at, s.units, carry_h + e * state, units);
        if (lstm) {
            copy_state(args.grad_c_n + at, s.units, carry_c + e * state, units);
        }
    }
    for (int64_t t = s.steps - 1; t >= 0; --t) {
        const float* rows = tile.rows + t * tile.row_step;
        const float* gates = tile.gates + t * tile.gate_step;
        const int64_t place = t % batch;
        float* grads = grad_gates + place * tile.envs * s.gate_stride();
        for (int64_t e = 0; e < tile.envs; ++e) {
            const int64_t env = t * s.envs + tile.first + e;
            float* h = carry_h + e * state;
            float* c = carry_c + e * state;
            if (args.dones[env] != 0) {
                clear(h, units);
                clear(c, units);
            }
            const float* out = args.grad_output + env * s.units;
            for (int64_t u = 0; u < s.units; ++u) {
                h[u] += out[u];
            }
            const float* gate = gates + e * s.gate_stride();
            float* grad = grads + e * s.gate_stride();
            if (lstm) {
                lstm_gradient(units, gate, tile.cells + t * tile.cell_step + e * state, h, c, grad);
            } else {
                gru_gradient(units, gate, rows + e * s.row_stride(), h, grad);
            }
        }
        back(s, hidden, tile.envs, grads, args.packed, lstm ? GemmStart{} : GemmStart{carry_h, state},
             carry_h, state);
        if (args.grad_x != nullptr) {
            const int64_t stride = mlp_stride(s.inputs);
            back(s, input, tile.envs, grads, packed_x, {}, grad_x, stride);
            for (int64_t e = 0; e < tile.envs; ++e) {
                copy_floats(grad_x + e * stride, s.inputs,
                            args.grad_x + (t * s.envs + tile.first + e) * s.inputs);
            }
        }
        if (place == 0) {
            const int64_t steps = smaller(batch, s.steps - t);
            for (int b = 0; b < blocks.count; ++b) {
                const RnnBlock& block = blocks.block[b];
                gemm_outer(block.gates, block.columns, steps * tile.envs, grad_gates + block.gate,
                           s.gate_stride(), rows + block.column, s.row_stride(),
                           sums + block.gate * s.row_stride() + block.column, s.row_stride());
            }
        }
    }
    for (int64_t e = 0; e < tile.envs; ++e) {
        const int64_t at = (tile.first + e) * s.units;
        copy_floats(carry_h + e * state, s.units, args.grad_h_0 + at);
        if (lstm) {
            copy_floats(carry_c + e * state, s.units, args.grad_c_0 + at);
        }
    }
}

// Calls body(first environment, environments) for every tile of a chunk.
template <typename Body>
void for_tiles(const RnnShape& s, int64_t chunk, const Body& body) {
    const int64_t size = s.chunk_envs();
    const int64_t end = smaller((chunk + 1) * size, s.envs);
    for (int64_t first = chunk * size; first < end; first += RnnShape::kTileEnvs) {
        body(first, smaller(RnnShape::kTileEnvs, end - first));
    }
}

}  // namespace

void rnn_packed_sizes(const RnnShape& shape, int64_t* forward, int64_t* backward) {
    *forward = 0;
    const RnnBlocks blocks = blocks_of(shape);
    for (int b = 0; b < blocks.count; ++b) {
        *forward += mlp_packed_size(blocks.block[b].columns, blocks.block[b].gates);
    }
    const RnnBlock hidden = hidden_gates(shape);
    const RnnBlock input = input_gates(shape);
    *backward = mlp_packed_size(hidden.gates, hidden.columns) + mlp_packed_size(input.gates, input.columns);
}

void rnn_pack(const RnnShape& shape, const RnnWeights<const float>& weights, float* matrix, float* packed) {
    assemble(shape, weights, matrix);
    const RnnBlocks blocks = blocks_of(shape);
    for (int b = 0; b < blocks.count; ++b) {
        const RnnBlock& block = blocks.block[b];
        pack_b_transposed(block.columns, block.gates, matrix + block.gate * shape.row_stride() + block.column,
                          shape.row_stride(), packed);
        packed += mlp_packed_size(block.columns, block.gates);
    }
}

void rnn_pack_backward(const RnnShape& shape, const RnnWeights<const float>& weights, bool with_inputs,
                       float* matrix, float* packed) {
    assemble(shape, weights, matrix);
    for (const RnnBlock& block : {hidden_gates(shape), input_gates(shape)}) {
        for (int64_t gate = block.gate; gate < block.gate + block.gates; gate += shape.padded_units()) {
            pack_b(shape.padded_units(), block.columns, matrix + gate * shape.row_stride() + block.column,
                   shape.row_stride(), packed);
            packed += mlp_packed_size(shape.padded_units(), block.columns);
        }
        if (!with_inputs) {
            return;
        }
    }
}

void rnn_scratch_sizes(const RnnShape& shape, int64_t* forward, int64_t* backward) {
    const int64_t envs = smaller(RnnShape::kTileEnvs, shape.chunk_envs());
    *forward = envs * (shape.row_stride() + shape.state_stride() + shape.gate_stride());
    *backward = envs * (2 * shape.state_stride() + mlp_stride(shape.inputs)) +
                (envs > kSumRows ? envs : kSumRows) * shape.gate_stride();
}

void rnn_chunks(const RnnArgs& args, float* scratch, int64_t begin, int64_t end) {
    const RnnShape& s = args.shape;
    const bool keep = args.saved != nullptr;
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        for_tiles(s, chunk, [&](int64_t first, int64_t envs) {
            float* memory = keep ? args.saved + first * s.saved_per_env() : scratch;
            run_tile(args, tile_at(s, first, envs, memory, keep));
        });
    }
}

void rnn_gradient_chunks(const RnnGradientArgs& args, float* scratch, int64_t begin, int64_t end) {
    const RnnShape& s = args.shape;
    for (int64_t chunk = begin; chunk < end; ++chunk) {
        float* sums = args.sums + chunk * s.gradient_size();
        clear(sums, s.gradient_size());
        for_tiles(s, chunk, [&](int64_t first, int64_t envs) {
            float* memory = const_cast<float*>(args.saved) + first * s.saved_per_env();
            run_gradient_tile(args, tile_at(s, first, envs, memory, true), scratch, sums);
        });
    }
}

void rnn_sum_gradients(const RnnShape& shape, const float* sums, const RnnWeights<float>& gradients,
                       int64_t begin, int64_t end) {
    const int64_t padded = shape.padded_units();
    const int64_t width = shape.row_width();
    for (int64_t index = begin; index < end; ++index) {
        const int64_t gate = index / padded;
        const int64_t u = index % padded;
        if (u >= shape.units) {
            continue;
        }
        float* total = const_cast<float*>(sums) + index * shape.row_stride();
        for (int64_t chunk = 1; chunk < shape.chunks(); ++chunk) {
            const float* part = total + chunk * shape.gradient_size();
            for (int64_t k = 0; k < width; ++k) {
                total[k] += part[k];
            }
        }
        const int input = torch_gate(shape, gate, true);
        const int hidden = torch_gate(shape, gate, false);
        if (hidden >= 0) {
            const int64_t to = hidden * shape.units + u;
            copy_floats(total, shape.units, gradients.hh + to * shape.units);
            if (gradients.bias_hh != nullptr) {
                gradients.bias_hh[to] = total[padded];
            }
        }
        if (input >= 0) {
            const int64_t to = input * shape.units + u;
            copy_floats(total + shape.first_input(), shape.inputs, gradients.ih + to * shape.inputs);
            if (gradients.bias_ih != nullptr) {
                gradients.bias_ih[to] = total[shape.last_one()];
            }
        }
    }
}

}  // namespace rslcore::RSLCORE_SIMD
