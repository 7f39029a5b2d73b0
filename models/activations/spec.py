"""Activation functions that may be asked for."""

from typing import Literal

ActivationName = Literal["relu", "gelu", "tanh"]
"""relu: max(0, z). gelu: z * Phi(z) (Hendrycks & Gimpel 2016, exact form). tanh: hyperbolic tangent."""
