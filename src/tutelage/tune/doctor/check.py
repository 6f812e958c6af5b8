"""What one check of the doctor found."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field

from tutelage.errors import TutelageError
from tutelage.records import Record

Outcome = Literal["pass", "fail", "not applicable"]


class Check(Record):
    """One check: ``measured`` and ``tolerance`` in words, the same as numbers in ``figures``, and what to do about a
    failure."""

    name: str
    measured: str
    tolerance: str = ""
    verdict: Outcome
    remedy: str = ""
    figures: dict[str, float] = Field(default_factory=dict)


def judged(
    name: str, ok: bool, measured: str, *, tolerance: str, remedy: str, figures: Mapping[str, float] | None = None
) -> Check:
    """Return a check that passed or failed; the remedy stands in it only if it failed."""
    verdict: Outcome = "pass" if ok else "fail"
    return Check(
        name=name,
        measured=measured,
        tolerance=tolerance,
        verdict=verdict,
        remedy="" if ok else remedy,
        figures=dict(figures or {}),
    )


def refused(name: str, error: TutelageError, *, tolerance: str, remedy: str = "") -> Check:
    """Return a check that failed because ``error`` was raised; its own remedy goes before ``remedy``."""
    said = error.problem
    measured = f"{said.what} ({said.received})" if said.received else said.what
    return Check(
        name=name, measured=measured, tolerance=tolerance, verdict="fail", remedy=said.remedy or remedy or "see above"
    )


def not_applicable(name: str, why: str) -> Check:
    """Return a check that could not be made."""
    return Check(name=name, measured=why, verdict="not applicable")


def is_exact(dtype: torch.dtype) -> bool:
    """Whether an arithmetic is precise enough for small tolerances: float32 or better."""
    return torch.finfo(dtype).eps <= torch.finfo(torch.float32).eps
