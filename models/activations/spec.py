"""Activation functions that may be asked for, each with its rule and its source."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

ActivationName = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"]

RULES: Mapping[ActivationName, str] = MappingProxyType(
    {
        "relu": "max(0, z) (Nair & Hinton 2010).",
        "leaky_relu": "z where z > 0, else 0.01 z: no unit is ever quite dead (Maas et al. 2013).",
        "elu": "z where z > 0, else exp(z) - 1 (Clevert et al. 2016).",
        "gelu": "z * Phi(z), Phi the normal distribution function, exact form (Hendrycks & Gimpel 2016).",
        "silu": "z * sigmoid(z), also called swish (Elfwing et al. 2018).",
        "sigmoid": "1 / (1 + exp(-z)); saturates on both sides, and is not centered (Rumelhart et al. 1986).",
        "tanh": "(exp(z) - exp(-z)) / (exp(z) + exp(-z)); saturates on both sides, centered at 0 (LeCun et al. 1998).",
    }
)
