"""Honest figures: evaluation mode, clean rows, sums over rows divided once."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.base import WIDE_ROWS, stack
from training.figures import RowFigures
from training.losses.build import row_losses
from training.losses.spec import LossSpec
from training.records import Task
from training.weights import Weights


@dataclass(frozen=True, kw_only=True)
class Part:
    """Rows to be measured: `x` [n, *input_shape], `y` [n]; `scale` turns standardised residuals into original units."""

    x: Tensor
    y: Tensor
    task: Task
    scale: float

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.x)


def measure(weights: Weights, parts: Sequence[Part], loss: LossSpec, *, keeps_outputs: bool = False) -> list[RowFigures]:
    """Measure fit i on `parts[i]`. Fits whose parts are equally long run together; the figures do not depend on it."""
    if len({len(part) for part in parts}) == 1:
        return _measure(weights, slice(0, len(parts)), parts, loss, keeps_outputs=keeps_outputs)
    each = [_measure(weights, slice(i, i + 1), [part], loss, keeps_outputs=keeps_outputs) for i, part in enumerate(parts)]
    return [figures for [figures] in each]


@torch.inference_mode()
def outputs(weights: Weights, x: Tensor, num_outputs: int) -> Tensor:
    """Give what the one fit of `weights` says of rows `x` [m, *input_shape], in evaluation mode and as it is measured: [m, O]."""
    whole = len(x) - len(x) % WIDE_ROWS
    starts = [*range(0, whole, weights.network.rows_at_once), whole]
    found = x.new_empty(len(x), num_outputs)
    forward = _Pass(weights, slice(0, 1))
    for start, stop in itertools.pairwise([*starts, len(x)]):
        if stop > start:
            found[start:stop] = forward(x[start:stop].unsqueeze(0))[0]
    return found


class _Pass:
    """An evaluation pass of the fits `rows` of weights that do not change meanwhile."""

    def __init__(self, weights: Weights, rows: slice) -> None:
        """Prepare it once for all chunks of rows."""
        self._network = weights.network
        self._run = weights.network.prepared(weights.run(rows, WIDE_ROWS))

    def __call__(self, x: Tensor) -> Tensor:
        """From rows [k, B, *input_shape] to outputs [k, B, O]."""
        return self._network.forward(x, replace(self._run, is_wide=x.shape[1] % WIDE_ROWS == 0))


@torch.inference_mode()
def _measure(weights: Weights, rows: slice, parts: Sequence[Part], loss: LossSpec, *, keeps_outputs: bool) -> list[RowFigures]:
    count, chunk = len(parts[0]), weights.network.rows_at_once
    whole = count - count % WIDE_ROWS
    losses: list[list[Tensor]] = [[] for _ in parts]
    hits: list[list[Tensor]] = [[] for _ in parts]
    kept: list[list[Tensor]] = [[] for _ in parts]

    def measure_chunk(forward: _Pass, fits: slice, chosen: Sequence[Part], start: int, stop: int) -> None:
        y = stack([part.y[start:stop] for part in chosen])
        outputs = forward(stack([part.x[start:stop] for part in chosen]))
        found = row_losses(loss, outputs, y)
        right = outputs.argmax(2) == y if chosen[0].task == "classification" else found
        for k in range(len(chosen)):
            losses[fits.start - rows.start + k].append(found[k])
            hits[fits.start - rows.start + k].append(right[k])
            if keeps_outputs:
                kept[fits.start - rows.start + k].append(outputs[k])

    together = _Pass(weights, rows)
    for start in range(0, whole, chunk):
        measure_chunk(together, rows, parts, start, min(start + chunk, whole))
    if whole < count:  # the last rows fill no vectors: each fit alone
        for k, part in enumerate(parts):
            alone = slice(rows.start + k, rows.start + k + 1)
            measure_chunk(_Pass(weights, alone), alone, [part], whole, count)
    return [_figures(part, losses[k], hits[k], kept[k]) for k, part in enumerate(parts)]


def _figures(part: Part, losses: list[Tensor], hits: list[Tensor], kept: list[Tensor]) -> RowFigures:
    loss = torch.cat(losses).double().cpu().numpy()
    outputs = torch.cat(kept).double().cpu().numpy() if kept else None
    if part.task == "classification":
        return RowFigures(loss=loss, hit=torch.cat(hits).double().cpu().numpy(), target=None, outputs=outputs)
    target = part.y.double().cpu().numpy()
    about = target - target.mean()
    if target.min() == target.max():  # their mean is rounded: what is left would pass for variation
        about[:] = 0
    return RowFigures(loss=loss * part.scale**2, hit=None, target=about * part.scale, outputs=outputs)
