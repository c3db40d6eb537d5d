"""Activations: values and derivatives against mpmath, and constants against suprema over grids.

Errors are counted in units of the last place of the exact value, or of 2^-1074 where that is subnormal; where a
derivative is a sum whose terms cancel, of the largest term.
"""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from hypothesis import given, strategies as st
from mpmath import mpf

import eosfast as eos
from eosfast import _cpu

# ------------------------------------------------------------------------------------------------------ exact functions

Function = Callable[[mpf], mpf]


def decay(u: mpf) -> mpf:
    return mpmath.exp(-abs(u))


def logistic(u: mpf) -> mpf:
    return (decay(u) if u < 0 else mpf(1)) / (1 + decay(u))


def bell(u: mpf) -> mpf:
    """The derivative of the logistic function."""
    return decay(u) / (1 + decay(u)) ** 2


def cdf(u: mpf) -> mpf:
    return mpmath.erfc(-max(-60, min(60, u)) / mpmath.sqrt(2)) / 2  # mpmath fails at huge arguments


def gauss(u: mpf) -> mpf:
    """The derivative of erf."""
    return 2 * mpmath.exp(-u * u) / mpmath.sqrt(mpmath.pi)


H = 0.75  # of the huberized relu

EXACT: dict[str, tuple[Function, Function, Function]] = {
    "identity": (lambda u: u, lambda u: mpf(1), lambda u: mpf(0)),
    "relu": (lambda u: max(u, mpf(0)), lambda u: mpf(u > 0), lambda u: mpf(0)),
    "tanh": (mpmath.tanh, lambda u: 4 * bell(2 * u), lambda u: -8 * mpmath.tanh(u) * bell(2 * u)),
    "sigmoid": (logistic, bell, lambda u: -bell(u) * mpmath.tanh(u / 2)),
    "softplus": (lambda u: max(u, mpf(0)) + mpmath.log1p(decay(u)), logistic, bell),
    "silu": (
        lambda u: u * logistic(u),
        lambda u: logistic(u) + u * bell(u),
        lambda u: bell(u) * (2 - u * mpmath.tanh(u / 2)),
    ),
    "gelu": (lambda u: u * cdf(u), lambda u: cdf(u) + u * mpmath.npdf(u), lambda u: mpmath.npdf(u) * (2 - u * u)),
    "erf": (mpmath.erf, gauss, lambda u: -2 * u * gauss(u)),
    "huberized_relu": (
        lambda u: mpf(0) if u < 0 else u * u / (2 * H) if u <= H else u - mpf(H) / 2,
        lambda u: min(max(u / H, mpf(0)), mpf(1)),
        lambda u: mpf(0 <= u <= H) / H,
    ),
}
# The largest term of the derivatives that cancel.
TERMS: dict[tuple[str, int], Function] = {
    ("silu", 1): lambda u: max(logistic(u), abs(u) * bell(u)),
    ("silu", 2): lambda u: bell(u) * max(2, abs(u)),
    ("gelu", 1): lambda u: max(cdf(u), abs(u) * mpmath.npdf(u)),
}
# What cpp/include/eosfast/math_activation.hpp states, rounded up.
BOUNDS = {
    "identity": (0.0, 0.0, 0.0),
    "relu": (0.0, 0.0, 0.0),
    "tanh": (1.7, 3.0, 4.0),
    "sigmoid": (2.2, 3.1, 4.2),
    "softplus": (1.8, 2.4, 3.2),
    "silu": (3.2, 3.0, 3.6),
    "gelu": (7.0, 4.0, 4.3),
    "erf": (2.7, 1.7, 2.5),
    "huberized_relu": (1.5, 0.51, 0.51),
}
NAMES = tuple(EXACT)
# Zeros of derivatives, changes of formula, and where results become subnormal or 0.
PLACES = {
    "tanh": [0.5495, 0.658, 19.06, 354.9, 372.6],
    "sigmoid": [0.3466, 1.317, 36.7, 708.4, 745.1, 752.0],
    "softplus": [0.8814, 36.7, 708.4, 745.1, 752.0],
    "silu": [1.2784645, 2.3993573, 708.4, 751.0, 752.0],
    "gelu": [0.7517916, 1.4142135, 37.5, 38.6, 39.0],
    "erf": [0.5, 0.7071, 5.9, 26.6, 27.3, 27.5],
    "huberized_relu": [H, 1e-300, 1e-160],
}


def make(name: str) -> eos.activations.Activation:
    return eos.HuberizedReLU(H) if name == "huberized_relu" else eos.activation(name)


def arguments(name: str) -> np.ndarray:
    rng = np.random.default_rng(len(name) * 100 + ord(name[0]))
    sign = rng.choice([-1.0, 1.0], 300)
    places = np.array(PLACES.get(name, [1.0]))
    near = [places * (1 + side * 2.0**-k) for side in (-1, 1) for k in (*range(4, 53, 6), 60)]
    scale = 1.1 * places.max()
    positive = np.concatenate([*near, rng.uniform(0.9, 1.1, 40)[:, None] @ places[None]], axis=None)
    every = [
        sign * 10.0 ** rng.uniform(-323, 308, 300),
        sign * 10.0 ** rng.uniform(-9, 2, 300),
        rng.uniform(-scale, scale, 400),
        rng.uniform(-3, 3, 600),
    ]
    return np.concatenate([*every, positive, -positive, [5e-324, -5e-324, 0.0, 1e308, -1e308]])


def all_three(phi: eos.activations.Activation, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return phi.value(u), phi.first(u), phi.second(u)


def largest_error(name: str, derivative: int, got: np.ndarray) -> tuple[float, float]:
    """The largest error and where it is."""
    exact, terms = EXACT[name][derivative], TERMS.get((name, derivative), EXACT[name][derivative])
    errors = []
    with mpmath.workprec(160):
        for u, y in zip(arguments(name), got, strict=True):
            place = abs(terms(mpf(float(u))))
            exponent = max(mpmath.frexp(place)[1] - 53, -1074) if place else -1074
            errors.append(float(abs(mpf(float(y)) - exact(mpf(float(u)))) / mpf(2) ** exponent))
    worst = int(np.argmax(errors))
    return errors[worst], float(arguments(name)[worst])


# ---------------------------------------------------------------------------------------------- accuracy, every variant

VARIANTS: dict[str, frozenset[str]] = _cpu.variants()
RUN_VARIANT = """
import pickle, sys
import eosfast as eos
points = pickle.load(sys.stdin.buffer)
values = {name: (phi.value(u), phi.first(u), phi.second(u)) for name, (phi, u) in points.items()}
pickle.dump(values, sys.stdout.buffer)
"""


@pytest.fixture(scope="module")
def values_of() -> dict[str, dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Every activation at its arguments, as each variant that was built and runs here computes it."""
    points = pickle.dumps({name: (make(name), arguments(name)) for name in NAMES})
    values = {}
    for variant, needs in VARIANTS.items():
        if needs <= _cpu.features():
            command = [sys.executable, "-c", RUN_VARIANT]
            environment = os.environ | {"EOSFAST_ISA": variant}
            done = subprocess.run(command, input=points, env=environment, check=True, capture_output=True, timeout=300)
            values[variant] = pickle.loads(done.stdout)
    return values


@pytest.mark.parametrize("derivative", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_error_bound(name: str, derivative: int, values_of: dict[str, dict[str, tuple[np.ndarray, ...]]]) -> None:
    for variant, values in values_of.items():
        error, u = largest_error(name, derivative, values[name][derivative])
        assert error <= BOUNDS[name][derivative], (
            f"{variant}: derivative {derivative} of {name} is {error:.1f} ulp off at {u!r}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_bits_are_the_same_from_v3_up(name: str, values_of: dict[str, dict[str, tuple[np.ndarray, ...]]]) -> None:
    fused = [values[name] for variant, values in values_of.items() if "fma" in VARIANTS[variant]]
    if len(fused) < 2:
        pytest.skip("fewer than two variants with fused multiply-adds were built and run here")
    for other in fused[1:]:
        np.testing.assert_array_equal(other, fused[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.1, 2.0, 10.0])
def test_derivatives_are_those_of_the_values(name: str, scale: float) -> None:
    phi, d = make(name), 1e-5
    u = np.random.default_rng(0).normal(scale=scale, size=500)
    kinks = {"relu": [0.0], "huberized_relu": [0.0, H]}.get(name, [])
    u = u[np.all([abs(u - kink) > 2 * d for kink in kinks] or [np.isfinite(u)], axis=0)]
    slope, curvature = ((f(u + d) - f(u - d)) / (2 * d) for f in (phi.value, phi.first))
    assert (abs(slope - phi.first(u)) <= 1e-9 * np.maximum(1.0, abs(u))).all()
    assert (abs(curvature - phi.second(u)) <= 1e-9).all()


# ------------------------------------------------------------------------------------------------------- special values

INF, NAN = math.inf, math.nan
SPECIAL = {  # values and derivatives at -inf, 0, inf
    "identity": ((-INF, 0, INF), (1, 1, 1), (0, 0, 0)),
    "relu": ((0, 0, INF), (0, 0, 1), (0, 0, 0)),
    "tanh": ((-1, 0, 1), (0, 1, 0), (0, 0, 0)),
    "sigmoid": ((0, 0.5, 1), (0, 0.25, 0), (0, 0, 0)),
    "softplus": ((0, math.log(2), INF), (0, 0.5, 1), (0, 0.25, 0)),
    "silu": ((0, 0, INF), (0, 0.5, 1), (0, 0.5, 0)),
    "gelu": ((0, 0, INF), (0, 0.5, 1), (0, math.sqrt(2 / math.pi), 0)),
    "erf": ((-1, 0, 1), (0, 2 / math.sqrt(math.pi), 0), (0, 0, 0)),
    "huberized_relu": ((0, 0, INF), (0, 0, 1), (0, 1 / H, 0)),
}


@pytest.mark.parametrize("name", NAMES)
def test_special_values(name: str) -> None:
    for got, want in zip(all_three(make(name), np.array([-INF, 0.0, INF, NAN])), SPECIAL[name], strict=True):
        np.testing.assert_allclose(got, [*want, NAN], rtol=2.3e-16, atol=0)  # zeros are exact


@pytest.mark.parametrize("name", ["identity", "tanh", "erf", "silu", "gelu"])  # odd, or u times a positive number
def test_values_keep_the_sign_of_zero(name: str) -> None:
    assert math.copysign(1.0, make(name).value(-0.0)) == -1.0


MAGNITUDES = np.ldexp(1.0 + np.arange(4) / 4, np.arange(-1074, 1024, 3)[:, None]).ravel()
EVERYWHERE = np.concatenate([-MAGNITUDES, MAGNITUDES])
COEFFICIENTS = st.floats(allow_nan=False, allow_infinity=False) | st.floats(-2, 2)


@given(name=st.sampled_from(NAMES), c=COEFFICIENTS, k=COEFFICIENTS, h=st.floats(5e-324, 1e308))
def test_no_finite_argument_gives_nan(name: str, c: float, k: float, h: float) -> None:
    phi = eos.HuberizedReLU(h) if name == "huberized_relu" else eos.activation(name)
    for each in (phi, eos.Leaky(phi, c, k)):
        assert not any(np.isnan(y).any() for y in all_three(each, EVERYWHERE))


@pytest.mark.parametrize("name", NAMES)
def test_an_element_does_not_feel_its_place_or_its_neighbours(name: str) -> None:
    u = np.concatenate([[NAN, INF, 1e308], np.random.default_rng(0).normal(scale=3, size=1100)])
    for phi in (make(name), eos.Leaky(make(name), 0.5, -0.25)):
        whole = np.array(all_three(phi, u))
        for start, stop in ((1, 1103), (5, 262), (3, 4), (600, 611), (7, 7)):
            part = np.array(all_three(phi, u[start:stop]))
            np.testing.assert_array_equal(part.view(np.int64), whole[:, start:stop].view(np.int64))


@given(name=st.sampled_from(NAMES), c=st.floats(-10, 10), k=st.floats(-10, 10), h=st.floats(1e-3, 1e3))
def test_leaky_is_its_formula(name: str, c: float, k: float, h: float) -> None:
    base = eos.HuberizedReLU(h) if name == "huberized_relu" else eos.activation(name)
    u = np.linspace(-9.0, 9.0, 37)
    y, y1, y2 = all_three(base, u)
    phi = eos.Leaky(base, c, k)
    for got, one, other in ((phi.value(u), c * u, k * y), (phi.first(u), c, k * y1), (phi.second(u), 0.0, k * y2)):
        assert (abs(got - (one + other)) <= 5e-16 * (abs(one) + abs(other)) + 1e-323).all()


# ------------------------------------------------------------------------------------------------------------ constants


def suprema_on_a_grid(phi: eos.activations.Activation, scale: float = 1.0) -> tuple[float, float, float, float]:
    u = scale * np.concatenate([np.linspace(-45, 45, 90_001), 2.0 ** np.arange(6, 40), -(2.0 ** np.arange(6, 40))])
    y, y1, y2 = all_three(phi, u)
    bends = abs(y - u * y1)[abs(u) <= 45 * scale]  # beyond, only rounding errors remain
    return bends.max(), abs(y1).max(), abs(y2).max(), abs(y1).min()


@pytest.mark.parametrize("name", NAMES)
def test_constants_are_suprema(name: str) -> None:
    phi = make(name)
    kappa, lipschitz, smoothness, least = suprema_on_a_grid(phi)
    assert phi.kappa == pytest.approx(kappa, abs=1e-6)
    assert phi.lipschitz == pytest.approx(lipschitz, abs=1e-6)
    assert phi.least_slope == pytest.approx(
        least, abs=1e-3
    )  # at a zero of phi' the grid sees a slope times its spacing
    if name == "relu":
        assert phi.smoothness == INF
    else:
        assert phi.smoothness == pytest.approx(smoothness, abs=1e-6)


@given(name=st.sampled_from(NAMES), c=st.floats(-2, 2), k=st.floats(-2, 2), h=st.floats(0.05, 20))
def test_constants_of_leaky_are_suprema(name: str, c: float, k: float, h: float) -> None:
    base = eos.HuberizedReLU(h) if name == "huberized_relu" else eos.activation(name)
    phi = eos.Leaky(base, c, k)
    kappa, lipschitz, smoothness, least = suprema_on_a_grid(phi)
    assert phi.kappa == pytest.approx(kappa, abs=1e-5)
    assert phi.lipschitz == pytest.approx(lipschitz, abs=1e-6)
    assert phi.least_slope == pytest.approx(least, abs=0.05)  # h = 0.05: phi' rises by 0.04 between neighbours
    assert phi.least_slope <= least + 1e-15
    assert phi.smoothness == (INF if name == "relu" and k != 0 else pytest.approx(smoothness, abs=1e-5))


def test_constants_to_the_last_digit() -> None:
    with mpmath.workdps(40):
        u = mpmath.findroot(lambda u: EXACT["silu"][2](u), 2.4)
        root_two, logistic_turn = mpmath.sqrt(2), mpmath.log(2 + mpmath.sqrt(3))
        want = {  # the derivative of phi - u phi' is -u phi'', that of phi' is phi'': extremes are at 0, inf or a zero
            ("gelu", "kappa"): 2 * mpmath.npdf(root_two),
            ("gelu", "lipschitz"): EXACT["gelu"][1](root_two),
            ("gelu", "smoothness"): EXACT["gelu"][2](mpf(0)),
            ("silu", "kappa"): u * EXACT["silu"][1](u) - EXACT["silu"][0](u),
            ("silu", "lipschitz"): EXACT["silu"][1](u),
            ("softplus", "kappa"): mpmath.log(2),
            ("tanh", "smoothness"): abs(EXACT["tanh"][2](logistic_turn / 2)),
            ("sigmoid", "smoothness"): abs(EXACT["sigmoid"][2](logistic_turn)),
            ("erf", "lipschitz"): gauss(mpf(0)),
            ("erf", "smoothness"): abs(EXACT["erf"][2](1 / root_two)),
        }
    for (name, constant), exact in want.items():
        assert getattr(eos.activation(name), constant) == pytest.approx(float(exact), rel=4e-16), (name, constant)


@pytest.mark.parametrize(
    ("phi", "k", "kappa", "least", "lipschitz", "smoothness"),
    [  # Cai et al., Example 3.1 with c = 1/2
        ("gelu", 0.125, 0.036691, 0.483887, 0.641113, 0.099736),
        ("softplus", 0.125, 0.086643, 0.5, 0.625, 0.03125),
        ("silu", 0.125, 0.054904, 0.487520, 0.637480, 0.0625),
        (eos.HuberizedReLU(1), 0.125, 0.0625, 0.5, 0.625, 0.125),
        ("tanh", 0.5, 0.5, 0.5, 1.0, 0.3849),
        ("sigmoid", 0.5, 0.5, 0.5, 0.625, 0.0481),
        ("softplus", 0.5, 0.346574, 0.5, 1.0, 0.125),
        ("relu", -1.0, 0.0, 0.5, 0.5, INF),  # slopes 0.5 and -0.5, and none between
        ("tanh", -1.0, 1.0, 0.0, 0.5, 0.7698),  # all slopes from -0.5 to 0.5
    ],
)
def test_constants_of_known_combinations(
    phi: str, k: float, kappa: float, least: float, lipschitz: float, smoothness: float
) -> None:
    leaky = eos.Leaky(phi, 0.5, k)
    found = (leaky.kappa, leaky.least_slope, leaky.lipschitz, leaky.smoothness)
    assert found == pytest.approx((kappa, least, lipschitz, smoothness), abs=6e-5 if k in (0.5, -1.0) else 1e-6)


# -------------------------------------------------------------------------------------------------------------- objects

OBJECTS = [eos.activation("gelu"), eos.HuberizedReLU(0.5), eos.Leaky("silu", 0.5, 0.125), eos.Leaky("tanh", 1, 0)]
OBJECTS.append(eos.Leaky(eos.HuberizedReLU(2), 0.5, -1))


@pytest.mark.parametrize("phi", OBJECTS, ids=repr)
def test_objects_are_values(phi: eos.activations.Activation) -> None:
    from eosfast import HuberizedReLU, Leaky, activation

    again = pickle.loads(pickle.dumps(phi))
    written = eval(repr(phi), {"activation": activation, "HuberizedReLU": HuberizedReLU, "Leaky": Leaky})
    assert again == phi == written
    assert hash(again) == hash(phi) == hash(written)
    assert again.value(0.75) == phi.value(0.75)
    assert eos.activation(phi) is phi
    assert [other for other in OBJECTS if other == phi] == [phi]
    with pytest.raises(AttributeError):
        phi.h = 2.0


def test_repr() -> None:
    assert [repr(phi) for phi in OBJECTS[:3]] == [
        "activation('gelu')",
        "HuberizedReLU(h=0.5)",
        "Leaky('silu', c=0.5, k=0.125)",
    ]


def test_leaky_of_leaky_is_multiplied_out() -> None:
    assert eos.Leaky(eos.Leaky("gelu", 0.5, 0.25), 1.0, -2.0) == eos.Leaky("gelu", 0.0, -0.5)
    assert eos.Leaky(eos.Leaky(eos.HuberizedReLU(3), 0, 2), 1, 1) == eos.Leaky(eos.HuberizedReLU(3), 1, 2)


def test_shapes() -> None:
    phi = eos.activation("tanh")
    assert phi.value(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    u = np.random.default_rng(0).normal(size=(7, 5, 3))
    np.testing.assert_array_equal(phi.first(u.T), phi.first(u).T)
    np.testing.assert_array_equal(phi.value(u[::-2, :, 1]), phi.value(u)[::-2, :, 1])
    assert type(phi.second(1)) is float
    assert type(phi.value(np.float64(1.0))) is float
    assert phi.value([1, 2]).dtype == np.float64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: eos.activation("geluu"),
            ValueError,
            r"activation must be .* \(did you mean 'gelu'\?\).*, got 'geluu'",
        ),
        (lambda: eos.activation(3), TypeError, "activation must be an activation or the name of one, got 3"),
        (lambda: eos.HuberizedReLU(0), ValueError, "h of HuberizedReLU must be a finite number > 0, got 0"),
        (lambda: eos.HuberizedReLU("1"), TypeError, "h of HuberizedReLU must be"),
        (lambda: eos.Leaky("rely", 1, 1), ValueError, r"phi of Leaky must be .*did you mean 'relu'"),
        (lambda: eos.Leaky("relu", INF, 1), ValueError, "c of Leaky must be a finite number, got inf"),
        (lambda: eos.Leaky(eos.Leaky("relu", 1, 1e200), 1, 1e200), ValueError, "k of Leaky must be a finite number"),
        (lambda: eos.activation("relu").value(["a"]), TypeError, "u must hold real numbers"),
    ],
)
def test_bad_input(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
