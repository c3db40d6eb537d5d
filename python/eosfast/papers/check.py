"""`Check`: one prediction of a paper, compared with a simulation; and the table that many of them make.

A check always compares two numbers: it passes when ``|measured - expected| <= tolerance``. A statement such as "no run
ends above the threshold" is put as a count with expected value 0 and tolerance 0.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import SupportsFloat

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Check:
    """A prediction and what the simulation gave: ``passed`` means ``|measured - expected| <= tolerance``.

    Parameters
    ----------
    id : str
        Short name, unique within a paper: "S3a".
    statement : str
        What is compared, with its parameters.
    source : str
        Where the expected value comes from: the paper (and then where in it), "derived" or "computed" (by an
        independent program).
    expected, measured : float
        The two values.
    tolerance : float
        Allowed absolute difference.
    passed : bool
        The outcome.

    See Also
    --------
    compare : Makes a Check from everything but ``passed``.
    """

    id: str
    statement: str
    source: str
    expected: float
    measured: float
    tolerance: float
    passed: bool


def compare(
    id: str,
    statement: str,
    source: str,
    expected: SupportsFloat,
    measured: SupportsFloat,
    tolerance: SupportsFloat,
) -> Check:
    """Return the Check ``|measured - expected| <= tolerance``; a measured NaN fails.

    Parameters
    ----------
    id, statement, source, expected, measured, tolerance
        As in `Check`; the numbers may be scalars of NumPy or xarray.

    Returns
    -------
    Check
    """
    numbers = float(expected), float(measured), float(tolerance)
    return Check(id, statement, source, *numbers, passed=abs(numbers[1] - numbers[0]) <= numbers[2])


def farthest(values: ArrayLike, target: float) -> float:
    """Return the value with the largest distance from the target, a NaN if there is one: the worst of several runs.

    Parameters
    ----------
    values : array_like
        At least one.
    target : float

    Returns
    -------
    float
    """
    flat = np.asarray(values, dtype=float).ravel()
    return float(flat[np.argmax(np.abs(flat - target))])


def format_table(checks: Sequence[Check], width: int = 118) -> str:
    """Return a plain-text table: one line of numbers for each check, its statement and source below it.

    Parameters
    ----------
    checks : sequence of Check
    width : int, default 118
        Longest line.

    Returns
    -------
    str
        Ends with a line that counts the passed checks; no newline after it.
    """
    id_width = max([len(check.id) for check in checks], default=2)
    indent = " " * (id_width + 2)
    lines = [f"{'id':<{id_width}}  result {'expected':>14} {'measured':>14} {'tolerance':>10}", "-" * width]
    for check in checks:
        numbers = f"{check.expected:>14.8g} {check.measured:>14.8g} {check.tolerance:>10.2g}"
        lines.append(f"{check.id:<{id_width}}  {'passed' if check.passed else 'FAILED'} {numbers}")
        text = f"{check.statement} [{check.source}]"
        lines += textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent)
    passed = sum(check.passed for check in checks)
    lines += ["-" * width, f"{passed} of {len(checks)} checks passed"]
    return "\n".join(lines)


def to_csv(checks: Iterable[Check]) -> str:
    """Return the checks as comma-separated values with a header line, numbers with all their digits.

    Parameters
    ----------
    checks : iterable of Check

    Returns
    -------
    str
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Check))
    writer.writerows(astuple(check) for check in checks)
    return text.getvalue()
