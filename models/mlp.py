"""The fully connected network, and the dense head that the convolutional one ends with."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from models.activations.build import activation
from models.base import BufferSpec, Dense, ParameterSpec, Run, stack
from models.normalizations.build import buffers_of, normalize, parameters_of
from models.normalizations.spec import normalizes
from models.spec import CnnSpec, MlpSpec


@dataclass(frozen=True)
class Head:
    """Hidden layers (dense, normalization, activation, dropout) and the output layer, on flat rows.

    `first` numbers the first hidden layer's normalization, activation and dropout (see models.shapes).
    """

    spec: MlpSpec | CnnSpec
    hidden: Sequence[Dense]
    output: Dense
    first: int

    @classmethod
    def of(cls, spec: MlpSpec | CnnSpec, inputs: int, num_outputs: int, *, first: int) -> "Head":
        """Lay the layers out."""
        widths = (inputs, *spec.hidden_units)
        hidden = tuple(Dense(f"dense{i + 1}", widths[i], widths[i + 1]) for i in range(len(spec.hidden_units)))
        return cls(spec, hidden, Dense("output", widths[-1], num_outputs), first)

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Declare what is learned, in the order of the forward pass."""
        declared: list[ParameterSpec] = []
        for number, dense in enumerate(self.hidden, start=self.first):
            declared += dense.parameters
            declared += parameters_of(self.spec.normalization, f"norm{number}", (dense.outputs,))
        return [*declared, *self.output.parameters]

    @property
    def buffers(self) -> Sequence[BufferSpec]:
        """Declare what is followed."""
        return [
            buffer
            for number, dense in enumerate(self.hidden, start=self.first)
            for buffer in buffers_of(self.spec.normalization, f"norm{number}", (dense.outputs,))
        ]

    def forward(self, x: Tensor, run: Run) -> Tensor:
        """From [k, B, F] to [k, B, O]."""
        activate = activation(self.spec.activation)
        for number, dense in enumerate(self.hidden, start=self.first):
            x = dense(x, run)
            if normalizes(self.spec.normalization, (dense.outputs,)):
                x = _normalized(x, f"norm{number}", run)
            x = activate(x)
            x = dropped(x, f"dropout{number}", run)
        return self.output(x, run)


@dataclass(frozen=True)
class Mlp:
    """Rows of any shape, flattened, through the head."""

    head: Head
    rows_at_once: int = 512

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """Declare what is learned."""
        return self.head.parameters

    @property
    def buffers(self) -> Sequence[BufferSpec]:
        """Declare what is followed."""
        return self.head.buffers

    def prepared(self, run: Run) -> Run:
        """Give the run itself: there is nothing to fold."""
        return run

    def forward(self, inputs: Tensor, run: Run) -> Tensor:
        """From [k, B, *input_shape] to [k, B, O]."""
        return self.head.forward(inputs.flatten(2), run)


def _normalized(x: Tensor, name: str, run: Run) -> Tensor:
    return stack(
        [
            normalize(run.specs[i].normalization, name, rows, run.single[i], run.buffers[i], is_training=run.is_training)
            for i, rows in enumerate(x)
        ]
    )


def dropped(x: Tensor, name: str, run: Run) -> Tensor:
    """Drop units of [k, B, F] while training, each fit with its own probability and its own draws."""
    if run.masks is None or all(spec.dropout == 0 for spec in run.specs):
        return x
    shape = tuple(x.shape[1:])
    return x * stack([run.masks(i, name, shape, spec.dropout) for i, spec in enumerate(run.specs)])
