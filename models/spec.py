"""Networks that may be asked for: the union `NetworkSpec`, discriminated by `name`."""

from typing import Annotated, Literal

from pydantic import Field

from models.activations.spec import ActivationName
from models.closed import Lax, Probability, Spec, Width
from models.initializers.spec import InitializerSpec, XavierUniformSpec
from models.normalizations.spec import NormalizationSpec

HiddenUnits = Annotated[
    tuple[Width, ...], Lax, Field(max_length=32, description="Width of each hidden dense layer, first to last; [] is a linear model.")
]
Dropout = Annotated[
    Probability,
    Field(
        description="Probability of dropping a hidden unit (whole channels in convolutional blocks) while training; survivors are scaled by 1 / (1 - p) (Srivastava et al. 2014)."
    ),
]
_XAVIER = XavierUniformSpec(name="xavier_uniform")


class MlpSpec(Spec):
    """A fully connected network; any input is flattened. Hidden layer: dense, normalization, activation, dropout."""

    name: Literal["mlp"]
    hidden_units: HiddenUnits = (128, 64)
    activation: ActivationName = "relu"
    normalization: Annotated[NormalizationSpec | None, Field(description="Normalization before each hidden activation, or null.")] = None
    dropout: Dropout = 0.0
    initializer: InitializerSpec = _XAVIER


PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class ConvBlockSpec(Spec):
    """Convolution, normalization, shortcut, activation, max pooling, channel dropout. Sizes hold on every axis."""

    channels: Width = 16
    kernel_size: Annotated[int, Field(ge=1, le=64)] = 3
    stride: Annotated[int, Field(ge=1, le=64)] = 1
    dilation: Annotated[
        int, Field(ge=1, le=64, description="Distance between the positions that a kernel looks at; 1 is none skipped.")
    ] = 1
    padding: (
        Annotated[int, Field(ge=0, le=64)]
        | Annotated[Literal["same"], Field(description="dilation * (kernel_size - 1) / 2 on each side; it must be whole.")]
    ) = "same"
    padding_mode: Annotated[
        PaddingMode,
        Field(description="What is padded: zeros, the row mirrored at its edge, its edge repeated, or its other end."),
    ] = "zeros"
    residual: Annotated[
        bool,
        Field(
            description="Add the block's input before the activation (He et al. 2016); where shapes differ, through a convolution of kernel 1 and the same stride."
        ),
    ] = False
    pool: Annotated[int, Field(ge=1, le=64, description="Window and step of the max pooling; 1 is none.")] = 1


_BLOCKS = (ConvBlockSpec(channels=16, pool=2), ConvBlockSpec(channels=32, pool=2))


class CnnSpec(Spec):
    """A convolutional network: blocks in as many dimensions as the data has (signals 1, images 2, volumes 3), then hidden dense layers."""

    name: Literal["cnn"]
    blocks: Annotated[tuple[ConvBlockSpec, ...], Lax, Field(min_length=1, max_length=32)] = _BLOCKS
    global_average_pooling: Annotated[
        bool, Field(description="Average each channel over all positions before the dense layers, instead of flattening (Lin et al. 2014).")
    ] = False
    hidden_units: HiddenUnits = ()
    activation: ActivationName = "relu"
    normalization: Annotated[NormalizationSpec | None, Field(description="Normalization before each hidden activation, or null.")] = None
    dropout: Dropout = 0.0
    initializer: InitializerSpec = _XAVIER


NetworkSpec = Annotated[MlpSpec | CnnSpec, Field(discriminator="name")]
