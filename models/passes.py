"""One pass of training through a network: outputs forward, then the gradients of everything that is learned.

Dense networks have theirs written out on buffers that are made once: small ones are overhead, most of it autograd's. Others are
differentiated by autograd. What a pass needs of a loss is its gradient with respect to the outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from models.activations.build import written
from models.base import Dense, Masks, Network, Run, stack
from models.mlp import Mlp
from models.normalizations.backward import WrittenNorm
from models.normalizations.spec import normalizes


class Pass(Protocol):
    """The training pass of k fits on batches of one size."""

    def forward(self, x: Tensor, masks: Masks) -> Tensor:
        """From rows [k, B, *input_shape] to outputs [k, B, O], in training mode."""

    def backward(self, gradient: Tensor, *, adds: bool) -> None:
        """From the gradient of the outputs [k, B, O] to those of all parameters: written to their rows, or added to them."""


def training_pass(network: Network, run: Run, gradient: Tensor, rows: int) -> Pass:
    """Prepare the pass of the fits of `run` on batches of `rows` rows; `gradient` [k, P] are their rows of the gradient matrix."""
    return DensePass(network, run, rows) if isinstance(network, Mlp) else AutogradPass(network, run, gradient)


class AutogradPass:
    """The pass of any network, differentiated by autograd into the leaves' `.grad`."""

    def __init__(self, network: Network, run: Run, gradient: Tensor) -> None:
        """Take the leaves of `run`."""
        self._network = network
        self._run = run
        self._gradient = gradient
        self._outputs: Tensor | None = None

    def forward(self, x: Tensor, masks: Masks) -> Tensor:
        """Record the pass on autograd's tape."""
        with torch.enable_grad():
            self._outputs = self._network.forward(x, replace(self._run, masks=masks))
        return self._outputs.detach()

    def backward(self, gradient: Tensor, *, adds: bool) -> None:
        """Play the tape back."""
        if self._outputs is None:
            raise ValueError("backward before forward")
        if not adds:
            self._gradient.zero_()
        self._outputs.backward(gradient)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._outputs = None


class DensePass:
    """The pass of a fully connected network, written out."""

    def __init__(self, network: Mlp, run: Run, rows: int) -> None:
        """Make the buffers of `rows` rows a fit."""
        head = network.head
        self._hidden = [_Hidden(dense, head.first + i, run, rows, is_first=i == 0) for i, dense in enumerate(head.hidden)]
        self._output = _Product(head.output, run, rows, is_first=not head.hidden)

    def forward(self, x: Tensor, masks: Masks) -> Tensor:
        """Run forward; what backward needs stays in the buffers."""
        x = x.flatten(2) if x.dim() > 3 else x
        for layer in self._hidden:
            x = layer.forward(x, masks)
        return self._output.forward(x)

    def backward(self, gradient: Tensor, *, adds: bool) -> None:
        """Run backward from the last pass forward."""
        below = self._output.backward(gradient, adds=adds)
        for layer in reversed(self._hidden):
            below = layer.backward(below, adds=adds)


@dataclass(frozen=True)
class _Part:
    """Fits that share a product: views of their parameters, gradients and buffers."""

    fits: slice
    weight: Tensor
    transposed: Tensor
    bias: Tensor
    d_weight: Tensor
    d_bias: Tensor
    z: Tensor
    d_x: Tensor | None
    d_buffer: Tensor | None


class _Product:
    """z = x W^T + b of k fits. The first one of a network needs no gradient of its inputs."""

    def __init__(self, dense: Dense, run: Run, rows: int, *, is_first: bool) -> None:
        weight, bias = run.stacked[f"{dense.name}.weight"], run.stacked[f"{dense.name}.bias"]
        if weight.grad is None or bias.grad is None:
            raise ValueError(f"{dense.name} has no gradient to write to")
        k = len(weight)
        self._z = weight.new_empty(k, rows, dense.outputs)
        self._d_x = None if is_first else weight.new_empty(k, rows, dense.inputs)
        self._x: Tensor | None = None
        step = k if dense.is_shared(run, is_cuda=weight.is_cuda) else 1
        self._parts = []
        for start in range(0, k, step):
            at = slice(start, start + step)
            own, d_weight = weight.detach()[at], weight.grad[at]
            self._parts.append(
                _Part(
                    fits=at,
                    weight=own,
                    transposed=own.transpose(1, 2),
                    bias=bias.detach()[at].unsqueeze(1),
                    d_weight=d_weight,
                    d_bias=bias.grad[at],
                    z=self._z[at],
                    d_x=None if self._d_x is None else self._d_x[at],
                    d_buffer=None if d_weight.is_contiguous() else torch.empty_like(d_weight, memory_format=torch.contiguous_format),
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        """[k, B, I] to [k, B, O], a buffer that the next pass overwrites."""
        self._x = x
        for part in self._parts:
            torch.baddbmm(part.bias, x[part.fits] if len(self._parts) > 1 else x, part.transposed, out=part.z)
        return self._z

    def backward(self, gradient: Tensor, *, adds: bool) -> Tensor:
        """Write or add the gradients of W and b; give that of x in a buffer (for the first product the gradient itself)."""
        if self._x is None:
            raise ValueError("backward before forward")
        for part in self._parts:
            d, x = (gradient, self._x) if len(self._parts) == 1 else (gradient[part.fits], self._x[part.fits])
            _products(part, d.transpose(1, 2), x, adds=adds)
            if adds:
                part.d_bias.add_(d.sum(1))
            else:
                torch.sum(d, 1, out=part.d_bias)
            if part.d_x is not None:
                torch.bmm(d, part.weight, out=part.d_x)
        return gradient if self._d_x is None else self._d_x


def _products(part: _Part, d: Tensor, x: Tensor, *, adds: bool) -> None:
    """Write or add d^T x: by the same kernel whether the gradient's rows lie side by side or not."""
    if adds:
        part.d_weight.add_(torch.bmm(d, x))
    elif part.d_buffer is None:
        torch.bmm(d, x, out=part.d_weight)
    else:
        part.d_weight.copy_(torch.bmm(d, x, out=part.d_buffer))


class _Hidden:
    """A hidden layer: dense, normalization, activation, dropout."""

    def __init__(self, dense: Dense, number: int, run: Run, rows: int, *, is_first: bool) -> None:
        self._number = number
        self._probabilities = [spec.dropout for spec in run.specs]
        self._product = _Product(dense, run, rows, is_first=is_first)
        self._activation = written(run.specs[0].activation)
        self._norms: Sequence[WrittenNorm] = [
            WrittenNorm.of(spec.normalization, f"norm{number}", own, buffers)
            for spec, own, buffers in zip(run.specs, run.single, run.buffers, strict=True)
            if spec.normalization is not None and normalizes(spec.normalization, (dense.outputs,))
        ]
        self._z: Tensor | None = None
        self._h: Tensor | None = None
        self._mask: Tensor | None = None

    def forward(self, x: Tensor, masks: Masks) -> Tensor:
        """[k, B, I] to [k, B, F]."""
        z = self._product.forward(x)
        if self._norms:
            z = stack([norm.forward(rows) for norm, rows in zip(self._norms, z, strict=True)])
        self._z, self._h = z, self._activation.forward(z)
        if not any(self._probabilities):
            return self._h
        shape = tuple(z.shape[1:])
        self._mask = stack([masks(i, f"dropout{self._number}", shape, p) for i, p in enumerate(self._probabilities)])
        return self._h * self._mask

    def backward(self, gradient: Tensor, *, adds: bool) -> Tensor:
        """Give the gradient of the inputs."""
        if self._z is None or self._h is None:
            raise ValueError("backward before forward")
        if self._mask is not None:
            gradient = gradient.mul_(self._mask)
        gradient = self._activation.backward(gradient, self._z, self._h)
        if self._norms:
            gradient = stack([norm.backward(rows, adds=adds) for norm, rows in zip(self._norms, gradient, strict=True)])
        return self._product.backward(gradient, adds=adds)
