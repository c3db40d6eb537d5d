"""The lane functions: stated error bounds, special values, symmetry, and the same bits however they are computed.

Errors are counted in units of the last place of the exact value, or of 2^-1074 where that is subnormal. The exact
values come from mpmath; where the platform's long double is longer than a double, a denser set is compared with that.

Longer than other test files: what each function ought to give stands in one place, beside the bounds it is held to.
"""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest

from eosfast import _cpu
from eosfast._dispatch import core

# The bounds that cpp/include/eosfast/math.hpp states, rounded up; they hold in every variant.
BOUNDS = {
    "exp": 0.9,
    "expm1": 1.3,
    "log": 1.2,
    "log1p": 1.2,
    "tanh": 1.8,
    "sech2": 1.6,
    "sigmoid": 1.8,
    "sigmoid_slope": 1.6,
    "softplus": 1.75,
    "logcosh": 1.65,
    "erf": 1.1,
    "erfc": 1.7,
    "normal_pdf": 1.1,
    "normal_cdf": 1.9,
    "normal_relu": 1.75,
    "root_slope": 2.0,
    "pow_abs(1.25)": 0.9,
    "pow_abs(2.0)": 0.9,
    "pow_abs(3.7)": 0.9,
    "pow_abs(40.0)": 0.9,
}
NAMES = core.math_names()
VARIANTS: dict[str, frozenset[str]] = _cpu.variants()
RUNNABLE = [name for name, needs in VARIANTS.items() if needs <= _cpu.features()]


# --------------------------------------------------------------------------------------------------------- exact values


def power(beta: float) -> Callable[[mpmath.mpf], mpmath.mpf]:
    return lambda x: abs(x) ** mpmath.mpf(beta)


def logistic_density(x: mpmath.mpf) -> mpmath.mpf:
    e = mpmath.exp(-abs(x))
    return e / (1 + e) ** 2


def log_cosh(x: mpmath.mpf) -> mpmath.mpf:
    if abs(x) < 1:
        return mpmath.log1p(2 * mpmath.sinh(x / 2) ** 2)
    return abs(x) - mpmath.log(2) + mpmath.log1p(mpmath.exp(-2 * abs(x)))


def erfc(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.erfc(max(-60, min(60, x)))  # mpmath fails at huge arguments; a double cannot tell them from 60


def normal_cdf(t: mpmath.mpf) -> mpmath.mpf:
    return erfc(-t / mpmath.sqrt(2)) / 2


def normal_relu(t: mpmath.mpf) -> mpmath.mpf:
    with mpmath.extraprec(60):  # pdf and t cdf cancel in the left tail
        return mpmath.npdf(t) + t * normal_cdf(t) if t > -60 else mpmath.mpf(0)


EXACT: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sech2": lambda x: 4 * logistic_density(2 * x),
    "sigmoid": lambda x: mpmath.exp(min(x, 0)) / (1 + mpmath.exp(-abs(x))),
    "sigmoid_slope": logistic_density,
    "softplus": lambda x: max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x))),
    "logcosh": log_cosh,
    "erf": mpmath.erf,
    "erfc": erfc,
    "normal_pdf": mpmath.npdf,
    "normal_cdf": normal_cdf,
    "normal_relu": normal_relu,
    "root_slope": lambda s: s / mpmath.sqrt(1 + s * s),
    "pow_abs(1.25)": power(1.25),
    "pow_abs(2.0)": power(2.0),
    "pow_abs(3.7)": power(3.7),
    "pow_abs(40.0)": power(40.0),
}

# Where an implementation changes formula, and where results overflow, underflow or saturate.
SEAMS = {
    "exp": [0.3466, 709.78, -708.4, -745.13, *(0.6931471805599453 * (k + 0.5) for k in range(-4, 4))],
    "expm1": [5.5e-17, 0.34657, 1.0397, -50.0, 709.78],
    "log": [2 / 3, 0.979125, 1.02075, 4 / 3, 2.0**-1022, *(2 / 3 + k / 32 for k in range(11))],
    "log1p": [5.5e-17, 0.02075, -0.020875, -1 / 3, 1 / 3, -1.0 + 2**-53, 2.0**53],
    "tanh": [0.5495, 0.8664, 19.06, 20.0],
    "sech2": [0.17, 18.4, 354.2, 372.6],
    "sigmoid": [0.3466, 36.7, -708.4, -745.1],
    "sigmoid_slope": [0.3466, 36.7, 708.4, 745.1],
    "softplus": [0.3466, 0.8814, 36.7, -708.4, -745.1],
    "logcosh": [1.0, 1e-8, 1.5e-154, 2e-162, 18.0],
    "erf": [0.5, 5.8, 5.92],
    "erfc": [0.5, -0.5, 26.54, 27.22, -5.8],
    "normal_pdf": [1.1774, 37.51, 38.56],
    "normal_cdf": [0.66, -0.66, -37.51, -38.46, 8.2],
    "normal_relu": [0.72, -0.72, -37.0, -38.0, 8.0],
    "root_slope": [1e-8, 9.4e7, 2.0**28, 1e154, 1e300],
    "pow_abs(1.25)": [1.0, 1e-246, 1e-258, 3e246],
    "pow_abs(2.0)": [1.0, 1.5e-154, 2e-162, 1.3e154],
    "pow_abs(3.7)": [1.0, 1e-83, 3e-88, 2e83],
    "pow_abs(40.0)": [1.0, 2e-8, 8e-9, 5.1e7],
}
SCALE = {"exp": 700.0, "sigmoid": 700.0, "softplus": 700.0, "sigmoid_slope": 700.0, "sech2": 350.0, "erfc": 27.0}
SCALE |= {"normal_cdf": 38.0, "normal_relu": 38.0, "normal_pdf": 38.0, "expm1": 60.0, "log": 1e3, "log1p": 1e3}


@functools.cache
def arguments(name: str) -> np.ndarray:
    """Some 5,000 numbers: all magnitudes, the range in which most happens, and both sides of every seam."""
    rng = np.random.default_rng(abs(hash_of(name)))
    scale = SCALE.get(name, 12.0)
    all_magnitudes = rng.choice([-1.0, 1.0], 600) * 10.0 ** rng.uniform(-323, 308, 600)
    near_zero = rng.choice([-1.0, 1.0], 600) * 10.0 ** rng.uniform(-12, 1, 600)
    around = [
        (1 + side * 2.0**-k) * seam
        for seam, side, k in itertools.product(SEAMS[name], (-1, 1), (3, 6, 10, 20, *range(40, 54)))
    ]
    near_seams = np.concatenate([seam * rng.uniform(0.9, 1.1, 100) for seam in SEAMS[name]])
    x = np.concatenate(
        [
            all_magnitudes,
            near_zero,
            rng.uniform(-scale, scale, 1500),
            rng.uniform(-3, 3, 2000),
            around,
            np.negative(around),
            near_seams,
        ]
    )
    return x[x > 0] if name == "log" else x[x > -1] if name == "log1p" else x


def hash_of(name: str) -> int:
    """A seed that depends on nothing but the name."""
    return int.from_bytes(name.encode()[:8], "big")


@functools.cache
def exact_values(name: str) -> list[mpmath.mpf]:
    with mpmath.workprec(160):
        return [EXACT[name](mpmath.mpf(float(x))) for x in arguments(name)]


def errors(name: str, values: np.ndarray) -> np.ndarray:
    """Errors of `values` at `arguments(name)` in units of the last place of the exact values."""
    out = np.empty(len(values))
    largest = mpmath.mpf(np.finfo(float).max)
    with mpmath.workprec(160):
        for i, (got, want) in enumerate(zip(values, exact_values(name), strict=True)):
            exponent = max(mpmath.frexp(want)[1] - 53, -1074) if want else -1074
            if np.isinf(got):  # right once the exact value rounds to infinity
                out[i] = 0.0 if abs(want) > largest * (1 + mpmath.mpf(2) ** -54) else np.inf
            else:
                out[i] = float(abs(mpmath.mpf(float(got)) - want) / mpmath.mpf(2) ** exponent)
    return out


# ------------------------------------------------------------------------------------------------------------- accuracy

RUN_VARIANT = """
import sys
import numpy as np
from eosfast._dispatch import core
with np.load(sys.argv[1]) as points:
    values = {name: core.math(name, x, True) for name, x in points.items()}
np.savez(sys.argv[2], **values)
"""


@pytest.fixture(scope="module")
def values_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """Every function at its arguments, as each variant that was built and runs here computes it on lanes."""
    folder: Path = tmp_path_factory.mktemp("math")
    np.savez(folder / "points.npz", **{name: arguments(name) for name in NAMES})
    values = {}
    for variant in RUNNABLE:
        out = folder / f"{variant}.npz"
        subprocess.run(
            [sys.executable, "-c", RUN_VARIANT, str(folder / "points.npz"), str(out)],
            env=os.environ | {"EOSFAST_ISA": variant},
            check=True,
            timeout=300,
        )
        with np.load(out) as loaded:
            values[variant] = dict(loaded)
    return values


def test_every_function_has_a_bound() -> None:
    assert set(NAMES) == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_error_bound(name: str, values_of: dict[str, dict[str, np.ndarray]]) -> None:
    for variant, values in values_of.items():
        found = errors(name, values[name])
        worst = int(np.argmax(found))
        assert found[worst] <= BOUNDS[name], (
            f"{variant}: {name}({arguments(name)[worst]!r}) = {values[name][worst]!r} is {found[worst]:.2f} ulp off"
        )


@pytest.mark.parametrize("name", BOUNDS)
def test_bits_are_the_same_from_v3_up(name: str, values_of: dict[str, dict[str, np.ndarray]]) -> None:
    fused = {variant: values[name] for variant, values in values_of.items() if "fma" in VARIANTS[variant]}
    if len(fused) < 2:
        pytest.skip(f"variants with fused multiply-adds that were built and run here: {', '.join(fused) or 'none'}")
    (_, expected), *others = fused.items()
    for variant, values in others:
        np.testing.assert_array_equal(values, expected, err_msg=variant)


LONG = np.longdouble
IN_LONG_DOUBLE: dict[str, tuple[Callable[[np.ndarray], np.ndarray], list[tuple[float, float]]]] = {
    "exp": (np.exp, [(-745.0, 709.7), (-1.1, 1.1)]),
    "expm1": (np.expm1, [(-40.0, 709.7), (-1.1, 1.1)]),
    "log": (np.log, [(0.0, 1e5), (0.6, 1.5)]),
    "log1p": (np.log1p, [(-1.0, 1e5), (-0.5, 0.5)]),
    "tanh": (np.tanh, [(-22.0, 22.0), (-1.2, 1.2)]),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), [(-708.0, 40.0), (-3.0, 3.0)]),
    "softplus": (lambda x: np.log1p(np.exp(x)), [(-708.0, 700.0), (-5.0, 3.0)]),
    "root_slope": (lambda s: s / np.sqrt(1 + s * s), [(-1e4, 1e4), (-8.0, 8.0), (-0.01, 0.01)]),
}


@pytest.mark.skipif(np.finfo(LONG).nmant < 63, reason="long double is no longer than double here")
@pytest.mark.parametrize("name", IN_LONG_DOUBLE)
def test_error_bound_densely(name: str) -> None:
    function, ranges = IN_LONG_DOUBLE[name]
    rng = np.random.default_rng(0)
    for low, high in ranges:
        x = rng.uniform(low, high, 200_000)
        want = function(x.astype(LONG))
        unit = np.ldexp(LONG(1), np.maximum(np.frexp(want)[1] - 53, -1074))
        found = np.abs(core.math(name, x, True) - want) / unit
        worst = int(np.argmax(found))
        assert found[worst] <= BOUNDS[name] + 0.01, f"{name}({x[worst]!r}) is {found[worst]:.2f} ulp off"


# ------------------------------------------------------------------------------------------------------- special values

LOG2, PDF0 = 0.6931471805599453, 0.3989422804014327
NAN, INF = np.nan, np.inf
SPECIAL = {  # at -inf, -0, +0, +inf
    "exp": (0.0, 1.0, 1.0, INF),
    "expm1": (-1.0, -0.0, 0.0, INF),
    "log": (NAN, -INF, -INF, INF),
    "log1p": (NAN, -0.0, 0.0, INF),
    "tanh": (-1.0, -0.0, 0.0, 1.0),
    "sech2": (0.0, 1.0, 1.0, 0.0),
    "sigmoid": (0.0, 0.5, 0.5, 1.0),
    "sigmoid_slope": (0.0, 0.25, 0.25, 0.0),
    "softplus": (0.0, LOG2, LOG2, INF),
    "logcosh": (INF, 0.0, 0.0, INF),
    "erf": (-1.0, -0.0, 0.0, 1.0),
    "erfc": (2.0, 1.0, 1.0, 0.0),
    "normal_pdf": (0.0, PDF0, PDF0, 0.0),
    "normal_cdf": (0.0, 0.5, 0.5, 1.0),
    "normal_relu": (0.0, PDF0, PDF0, INF),
    "root_slope": (-1.0, -0.0, 0.0, 1.0),
} | {name: (INF, 0.0, 0.0, INF) for name in BOUNDS if name.startswith("pow_abs")}


def same_bits(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equality of bits, where every NaN counts as the same."""
    return (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("lanes", [True, False], ids=["lanes", "double"])
@pytest.mark.parametrize("name", BOUNDS)
def test_special_values(name: str, lanes: bool) -> None:
    got = core.math(name, np.array([-INF, -0.0, 0.0, INF, NAN]), lanes)
    want = np.array([*SPECIAL[name], NAN])
    assert same_bits(got, want).all(), f"{name}: {got}, not {want}"


@pytest.mark.parametrize("name", BOUNDS)
def test_no_spurious_nan(name: str) -> None:
    magnitudes = np.ldexp(1.0 + np.arange(8) / 8, np.arange(-1074, 1024)[:, None]).ravel()
    x = np.concatenate([-magnitudes, magnitudes])
    outside = {"log": x < 0, "log1p": x < -1}.get(name, np.zeros(len(x), bool))
    np.testing.assert_array_equal(np.isnan(core.math(name, x, True)), outside)


@pytest.mark.parametrize(
    ("name", "x", "want"),
    [
        ("exp", 709.782712893384, 1.7976931348622732e308),
        ("exp", 709.7827128933841, INF),
        ("exp", -745.1332191019411, 5e-324),
        ("exp", -745.1332191019412, 0.0),
        ("expm1", 709.7827128933841, INF),
        ("expm1", 5e-324, 5e-324),
        ("expm1", -1e300, -1.0),
        ("log", 5e-324, -744.4400719213812),
        ("log", 1.0, 0.0),
        ("log1p", -1.0, -INF),
        ("log1p", 1e-300, 1e-300),
        ("tanh", 5e-324, 5e-324),
        ("tanh", 1e308, 1.0),
        ("softplus", 1e308, 1e308),
        ("softplus", -745.0, 5e-324),
        ("logcosh", -1e308, 1e308),
        ("erfc", 30.0, 0.0),
        ("normal_relu", 1e300, 1e300),
        ("root_slope", -1.7e308, -1.0),
        ("root_slope", 5e-324, 5e-324),
        ("pow_abs(2.0)", -3.0, 9.0),
        ("pow_abs(40.0)", 1.0, 1.0),
        ("pow_abs(40.0)", 1e9, INF),
        ("pow_abs(40.0)", 1e-9, 0.0),
    ],
)
def test_at_the_limits(name: str, x: float, want: float) -> None:
    for lanes in (True, False):
        assert core.math(name, np.array([x]), lanes)[0] == want


# --------------------------------------------------------------------------------------------------- what is exactly so


@pytest.mark.parametrize("name", BOUNDS)
def test_lanes_and_doubles_give_the_same_bits(name: str) -> None:
    x = np.concatenate([arguments(name), -arguments(name), [INF, -INF, NAN, 0.0, -0.0]])
    on_lanes, one_by_one = core.math(name, x, True), core.math(name, x, False)
    differing = np.flatnonzero(~same_bits(on_lanes, one_by_one))
    assert differing.size == 0, f"{name}({x[differing[0]]!r}): {on_lanes[differing[0]]!r} {one_by_one[differing[0]]!r}"


@pytest.mark.parametrize("name", BOUNDS)
def test_a_lane_does_not_feel_its_place_or_its_neighbours(name: str) -> None:
    x = arguments(name)[::25]
    alone = core.math(name, x, False)
    neighbours = np.array([NAN, INF, -INF, 1e308, 5e-324, -0.0, -700.0])
    for place in range(8):
        packs = np.insert(np.broadcast_to(neighbours, (len(x), 7)), place, x, axis=1)
        found = core.math(name, np.ascontiguousarray(packs.ravel()), True).reshape(-1, 8)[:, place]
        assert same_bits(np.ascontiguousarray(found), alone).all(), f"{name} in lane {place}"


@pytest.mark.parametrize("name", ["tanh", "erf", "root_slope"])
def test_odd(name: str) -> None:
    x = arguments(name)
    assert same_bits(core.math(name, -x, True), -core.math(name, x, True)).all()


@pytest.mark.parametrize("name", ["sech2", "sigmoid_slope", "logcosh", "normal_pdf", "pow_abs(1.25)"])
def test_even(name: str) -> None:
    x = arguments(name)
    assert same_bits(core.math(name, -x, True), core.math(name, x, True)).all()


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("tanh", -1.0, 1.0),
        ("root_slope", -1.0, 1.0),
        ("erf", -1.0, 1.0),
        ("erfc", 0.0, 2.0),
        ("sigmoid", 0.0, 1.0),
        ("sigmoid_slope", 0.0, 0.25),
        ("sech2", 0.0, 1.0),
        ("normal_cdf", 0.0, 1.0),
        ("normal_pdf", 0.0, PDF0),
    ],
)
def test_never_beyond_its_range(name: str, low: float, high: float) -> None:
    x = np.concatenate([arguments(name), np.linspace(-40, 40, 100_001), np.geomspace(1e-9, 1e9, 100_001)])
    y = core.math(name, x, True)
    assert y.min() >= low
    assert y.max() <= high


@pytest.mark.parametrize(
    "name", ["exp", "expm1", "tanh", "sigmoid", "softplus", "erf", "normal_cdf", "normal_relu", "root_slope", "log1p"]
)
def test_rises(name: str) -> None:
    """Between arguments whose exact values are many units of the last place apart, across all seams."""
    low, high = {"log1p": (-0.999, 5.0)}.get(name, (-5.0, 5.0))
    assert (np.diff(core.math(name, np.linspace(low, high, 200_001), True)) > 0).all()
