"""The goals of the assessment, each measured anew: error probabilities, drift, clustering, power, ground truth and speed."""

from collections.abc import Callable, Iterator

from assessment_errors import errors
from assessment_power import fixed_number, power, truth
from assessment_traffic import clustering, drift

__all__ = ["ALL", "fixed_number"]

ALL: tuple[Callable[[int], Iterator[tuple[bool, str]]], ...] = (errors, drift, clustering, power, truth)
