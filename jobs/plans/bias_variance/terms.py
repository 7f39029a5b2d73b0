"""Where error comes from: bias, variance and noise of R predictors on the same n rows."""

import numpy as np

from data.dataset import Array
from jobs.plans.bias_variance.result import SquaredTerms, ZeroOneTerms


def squared_terms(answers: Array, y: Array, truth: Array | None) -> SquaredTerms:
    """Decompose the mean squared error of `answers` [R, n] for targets `y` [n] and, where known, noiseless ones `truth` [n].

    Means over resamples divide by R, so that the terms add up.
    """
    mean = answers.mean(axis=0)
    return SquaredTerms(
        error=float(((y - answers) ** 2).mean()),
        variance=float(((answers - mean) ** 2).mean()),
        bias_squared_plus_noise=float(((y - mean) ** 2).mean()),
        bias_squared=None if truth is None else float(((truth - mean) ** 2).mean()),
        noise=None if truth is None else float(((y - truth) ** 2).mean()),
        cross_term=None if truth is None else float(2 * ((y - truth) * (truth - mean)).mean()),
    )


def zero_one_terms(named: Array, y: Array, num_classes: int) -> ZeroOneTerms:
    """Decompose the mean 0-1 loss of classes `named` [R, n] for classes `y` [n] (Domingos 2000), noise taken as 0.

    The main prediction is the class named most often, the lowest of equals. On a row where it is right every deviation costs
    (factor 1); where it is wrong only deviations to the right class gain (factor -P(right | deviates), -1 for two classes).
    """
    votes = np.zeros((len(y), num_classes))
    for one in named:
        votes[np.arange(len(y)), one] += 1
    shares = votes / len(named)
    main = shares.argmax(axis=1)
    is_biased = main != y
    deviates = 1 - shares[np.arange(len(y)), main]
    gains = np.where(is_biased, shares[np.arange(len(y)), y], 0.0)
    return ZeroOneTerms(
        error=float((named != y).mean()),
        bias=float(is_biased.mean()),
        variance=float(deviates.mean()),
        variance_unbiased=float(np.where(is_biased, 0.0, deviates).mean()),
        variance_biased=float(gains.mean()),
    )
