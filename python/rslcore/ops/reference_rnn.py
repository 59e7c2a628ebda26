# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause

"""The recurrent layers of `reference`, written plainly in torch."""

from __future__ import annotations

import torch


def rnn_scan(
    x: torch.Tensor,
    dones: torch.Tensor,
    h_0: torch.Tensor,
    c_0: torch.Tensor | None,
    weight_ih: torch.Tensor,
    weight_hh: torch.Tensor,
    bias_ih: torch.Tensor | None,
    bias_hh: torch.Tensor | None,
    save: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A layer of an LSTM, or without `c_0` of a GRU, whose state starts from zero behind the steps with `dones`.

    Returns output [T, N, H], h_n, c_n ([0, H] of a GRU), and nothing saved: torch keeps what its gradient needs.
    """
    linear = torch.nn.functional.linear
    h, c, outputs = h_0, c_0, [x.new_zeros(0, *h_0.shape)]
    for inputs, done in zip(x, dones, strict=True):
        of_x, of_h = linear(inputs, weight_ih, bias_ih), linear(h, weight_hh, bias_hh)
        if c is None:
            (r_x, z_x, n_x), (r_h, z_h, n_h) = of_x.chunk(3, dim=1), of_h.chunk(3, dim=1)
            n = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h)
            h = n + torch.sigmoid(z_x + z_h) * (h - n)
        else:
            i, f, g, o = (of_x + of_h).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h[None])
        ended = (done != 0)[:, None]
        h, c = h.masked_fill(ended, 0), None if c is None else c.masked_fill(ended, 0)
    return torch.cat(outputs), h, h.new_zeros(0, h.shape[1]) if c is None else c, x.new_zeros(0)
