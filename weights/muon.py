"""The optimiser of the course: Muon for wide convolutions, AdamW for all else, both PyTorch's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MUON_RATE, OTHER_RATE = 0.02, 2e-3  # learning rates of Muon and AdamW


def as_matrix(weight: Tensor) -> Tensor:
    """A convolution's weight (a, b, h, w) as a matrix (a, h·w·b).

    It shares the memory of a channels-last weight.
    """
    return weight.permute(0, 2, 3, 1).flatten(1)


class MuonAndAdamW:
    """Muon for wide convolutions, AdamW for all else.

    Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) makes the singular values of each
    step about equal, so that a matrix learns in all its directions at once. torch.optim.Muon takes
    matrices only; it gets each convolution as a matrix that shares the weight's memory.

    Args:
        also: weights of ``model`` that are matrices and go to Muon as well, as those of a transformer's blocks.
    """

    def __init__(self, model: torch.nn.Module, also: Sequence[torch.nn.Parameter] = ()) -> None:
        self.convs = [p for p in model.parameters() if p.ndim == 4 and min(p.shape[:2]) > 3]
        self.matrices = [torch.nn.Parameter(as_matrix(p.detach())) for p in self.convs]
        pairs = zip(self.matrices, self.convs, strict=True)
        assert all(matrix.data_ptr() == conv.data_ptr() for matrix, conv in pairs)
        known = {id(p) for p in (*self.convs, *also)}
        others = [p for p in model.parameters() if id(p) not in known]
        self.parts = [
            torch.optim.Muon([*self.matrices, *also], lr=MUON_RATE, weight_decay=0.01),
            torch.optim.AdamW(others, lr=OTHER_RATE, weight_decay=0.01),
        ]

    def step(self, factor: float) -> None:
        """One step, at the learning rates times ``factor``; forgets the gradients."""
        for matrix, conv in zip(self.matrices, self.convs, strict=True):
            matrix.grad, conv.grad = as_matrix(conv.grad), None
        for part, rate in zip(self.parts, (MUON_RATE, OTHER_RATE), strict=True):
            part.param_groups[0]["lr"] = rate * factor
            part.step()
            part.zero_grad()

    def state_dict(self) -> list[dict]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
