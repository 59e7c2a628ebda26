# Copyright (c) 2026, rslcore authors.
# SPDX-License-Identifier: BSD-3-Clause
"""Networks of the job for packages that leave them to their users."""

from __future__ import annotations

from itertools import pairwise

import torch

from _peers import job
from _peers.job import Shape


class Network(torch.nn.Module):
    """Perceptron of the job, behind convolutions or an LSTM where the shape has them."""

    def __init__(self, shape: Shape, outputs: int) -> None:
        """Build the layers; `outputs` is the width of the last one."""
        super().__init__()
        width = job.NUM_OBSERVATIONS
        encoder: list[torch.nn.Module] = []
        if shape.images:
            channels = job.IMAGE[0]
            encoder.append(torch.nn.Unflatten(1, job.IMAGE))
            for output, kernel, stride in job.CONVOLUTIONS:
                encoder += [torch.nn.Conv2d(channels, output, kernel, stride), torch.nn.ELU()]
                channels = output
            encoder.append(torch.nn.Flatten())
            with torch.no_grad():
                width = torch.nn.Sequential(*encoder)(torch.zeros(1, *job.IMAGE).flatten(1)).shape[1]
        self.encoder = torch.nn.Sequential(*encoder)
        self.rnn = None if shape.rnn is None else torch.nn.LSTM(width, shape.rnn)
        widths = (shape.rnn or width, *shape.hidden)
        layers: list[torch.nn.Module] = []
        for left, right in pairwise(widths):
            layers += [torch.nn.Linear(left, right), torch.nn.ELU()]
        self.mlp = torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs [B, outputs] of observations [B, D]; without an LSTM."""
        return self.mlp(self.encoder(x))

    def step(self, x: torch.Tensor, state: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Outputs [N, outputs] and new state of one step of all environments; the state is [1, N, H] twice."""
        assert self.rnn is not None
        y, after = self.rnn(x.unsqueeze(0), tuple(state))
        return self.mlp(y.squeeze(0)), list(after)

    def sequences(self, x: torch.Tensor, state: list[torch.Tensor], ends: torch.Tensor) -> torch.Tensor:
        """Outputs [B, outputs] of whole sequences that lie one after the other, with the state zeroed behind ends.

        Args:
            x: [sequences * NUM_STEPS, D].
            state: Before every row, [1, B, H] twice; those of the first rows are used.
            ends: Bool [B, 1], an episode ended on this row.
        """
        assert self.rnn is not None
        x, over = (values.view(-1, job.NUM_STEPS, values.shape[-1]).transpose(0, 1) for values in (x, ends))
        now = tuple(s.view(1, -1, job.NUM_STEPS, s.shape[-1])[:, :, 0].contiguous() for s in state)
        # The LSTM runs from one step on which any episode ended to the next.
        cuts = [0, *(over[:-1].flatten(1).any(dim=1).nonzero().view(-1) + 1).tolist(), job.NUM_STEPS]
        pieces = []
        for start, end in pairwise(cuts):
            if start:
                now = tuple(s * ~over[start - 1] for s in now)
            piece, now = self.rnn(x[start:end], now)
            pieces.append(piece)
        y = torch.cat(pieces).transpose(0, 1)
        return self.mlp(y.reshape(-1, y.shape[-1]))
