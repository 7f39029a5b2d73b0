"""Losses of single rows; means are taken by the caller, once."""

from typing import assert_never

import torch
from torch import Tensor

from training.losses.spec import CrossEntropySpec, LossSpec, SquaredErrorSpec


def row_losses(spec: LossSpec, outputs: Tensor, targets: Tensor) -> Tensor:
    """Loss of every row: `outputs` [k, B, O] against `targets` [k, B] give [k, B], in nats or squared standardised units."""
    match spec:
        case CrossEntropySpec():
            flat = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none")
            return flat.view(targets.shape)
        case SquaredErrorSpec():
            difference = outputs.squeeze(2) - targets
            return difference * difference
        case _:
            assert_never(spec)


def row_losses_and_gradient(spec: LossSpec, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Give the loss of every row [k, B] and its gradient with respect to the row's outputs, [k, B, O]: softmax(z) - onehot(y), or 2 (z - y)."""
    match spec:
        case CrossEntropySpec():
            logs, chosen = torch.log_softmax(outputs, 2), targets.unsqueeze(2)
            losses = logs.gather(2, chosen).squeeze(2).neg_()
            return losses, logs.exp_().scatter_(2, chosen, -1.0, reduce="add")
        case SquaredErrorSpec():
            difference = outputs.squeeze(2) - targets
            return difference * difference, (2 * difference).unsqueeze(2)
        case _:
            assert_never(spec)


def smoothed_row_losses(spec: LossSpec, outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Loss of one fit's rows against smoothed labels: `outputs` [B, O] and `targets` [B] give [B].

    The target of K classes is (1 - e) * onehot + e / K (Szegedy et al. 2016); numbers are never smoothed.
    """
    match spec:
        case CrossEntropySpec() if smoothing > 0:
            return torch.nn.functional.cross_entropy(outputs, targets, reduction="none", label_smoothing=smoothing)
        case CrossEntropySpec() | SquaredErrorSpec():
            return row_losses(spec, outputs.unsqueeze(0), targets.unsqueeze(0))[0]
        case _:
            assert_never(spec)
