"""Augmentations that may be asked for: random changes of the inputs that leave the label right. Training batches only, off unless asked.

They are applied in the order of the list, each to a row with probability `p`. Images are augmented as numbers in [0, 1],
before they are standardised; signals and volumes as the network sees them. What slides in from outside is 0.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from models.closed import Spec

Kind = Literal["signal", "image", "volume"]
"""Inputs with one, two or three axes beside the channels."""
P = Annotated[float, Field(gt=0, le=1, description="Probability that a row is changed.")]
Strength = Annotated[float, Field(ge=0, le=1)]


def _some(spec: Spec, *fields: str) -> None:
    if all(getattr(spec, field) == 0 for field in fields):
        raise ValueError(f"one of {', '.join(fields)} must be above 0, or nothing is changed")


class FlipSpec(Spec):
    """Mirror along an axis. Flips change the meaning of labels that tell left from right."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image", "volume"})
    name: Literal["flip"]
    axis: Annotated[Literal["width", "height", "depth"], Field(description="width: left and right; depth: volumes only.")] = "width"
    p: P = 0.5


class CropSpec(Spec):
    """Pad every side with `padding` positions of 0, then cut a random piece of the old size (He et al. 2016)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"signal", "image", "volume"})
    name: Literal["crop"]
    padding: Annotated[int, Field(ge=1, le=1024, description="Largest shift along each axis, in positions.")] = 2
    p: P = 1.0


class RotateSpec(Spec):
    """Turn about the centre by an angle drawn from U(-degrees, degrees), bilinear."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    name: Literal["rotate"]
    degrees: Annotated[float, Field(gt=0, le=180)] = 15.0
    p: P = 1.0


class ScaleSpec(Spec):
    """Zoom about the centre by a factor drawn from U(low, high), bilinear (trilinear in volumes)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image", "volume"})
    name: Literal["scale"]
    low: Annotated[float, Field(gt=0, le=10)] = 0.9
    high: Annotated[float, Field(gt=0, le=10)] = 1.1
    p: P = 1.0

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class TranslateSpec(Spec):
    """Shift along each axis by a share of its size drawn from U(-fraction, fraction), bilinear."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    name: Literal["translate"]
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    p: P = 1.0


class JitterSpec(Spec):
    """Contrast, then brightness: m + c (x - m) + b about the row's mean m, c from U(1 - contrast, 1 + contrast), b from U(-brightness, brightness), kept in [0, 1]."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    name: Literal["jitter"]
    brightness: Strength = 0.2
    contrast: Strength = 0.2
    p: P = 1.0

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        _some(self, "brightness", "contrast")
        return self


class HsvSpec(Spec):
    """Turn the hue about the gray axis by up to `hue` of a full turn, scale saturation and value by U(1 - s, 1 + s), kept in [0, 1]. Three channels only."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    name: Literal["hsv"]
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    saturation: Strength = 0.2
    value: Strength = 0.2
    p: P = 1.0

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        _some(self, "hue", "saturation", "value")
        return self


class EraseSpec(Spec):
    """Replace a rectangle by noise from U(0, 1); its area is a share from U(low, high), its aspect from 0.3 to 1 / 0.3 (Zhong et al. 2020)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    name: Literal["erase"]
    low: Annotated[float, Field(gt=0, le=1)] = 0.02
    high: Annotated[float, Field(gt=0, le=1)] = 0.2
    p: P = 0.5

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class SignalJitterSpec(Spec):
    """Add N(0, sigma^2) to every position, in units of the standardised feature (Um et al. 2017)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"signal"})
    name: Literal["signal_jitter"]
    sigma: Annotated[float, Field(gt=0, le=100)] = 0.05
    p: P = 1.0


class SignalScaleSpec(Spec):
    """Multiply each channel by a factor from N(1, sigma^2) (Um et al. 2017)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"signal"})
    name: Literal["signal_scale"]
    sigma: Annotated[float, Field(gt=0, le=100)] = 0.1
    p: P = 1.0


class SignalShiftSpec(Spec):
    """Move the signal in a circle by up to a share of its length, either way."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"signal"})
    name: Literal["signal_shift"]
    fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    p: P = 1.0


AugmentationSpec = Annotated[
    FlipSpec
    | CropSpec
    | RotateSpec
    | ScaleSpec
    | TranslateSpec
    | JitterSpec
    | HsvSpec
    | EraseSpec
    | SignalJitterSpec
    | SignalScaleSpec
    | SignalShiftSpec,
    Field(discriminator="name"),
]


def kind_of(input_shape: tuple[int, ...]) -> Kind | None:
    """Tell what rows of `input_shape` ([C, *axes]) are; None for tables, which have nothing to augment."""
    kinds: dict[int, Kind] = {2: "signal", 3: "image", 4: "volume"}
    return kinds.get(len(input_shape))


def misfit(spec: AugmentationSpec, input_shape: tuple[int, ...]) -> str | None:
    """Say why an augmentation would do nothing (or harm) to rows of `input_shape`; None if it applies."""
    kind = kind_of(input_shape)
    if kind is None:
        return f"{spec.name} needs signals, images or volumes; these rows are tables"
    if kind not in spec.kinds:
        return f"{spec.name} is made for {' and '.join(sorted(spec.kinds))}s, not for {kind}s"
    message = None
    match spec:
        case FlipSpec(axis="depth") if kind != "volume":
            message = "only volumes have a depth"
        case FlipSpec() if input_shape[axis_of(spec)] == 1:
            message = f"{spec.axis} has a single position: nothing to flip"
        case HsvSpec() if input_shape[0] != 3:
            message = f"hsv needs three channels, not {input_shape[0]}"
        case CropSpec() if spec.padding >= min(input_shape[1:]):
            message = f"a padding of {spec.padding} could leave nothing of inputs of {list(input_shape[1:])}"
        case SignalShiftSpec() if round(spec.fraction * input_shape[1]) < 1:
            message = f"{spec.fraction} of {input_shape[1]} positions is less than one"
        case _:
            pass
    return message


def axis_of(spec: FlipSpec) -> int:
    """Give the axis of a row [C, *axes] that is mirrored."""
    return {"width": -1, "height": -2, "depth": -3}[spec.axis]
