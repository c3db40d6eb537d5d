"""Runs of a sweep that end early, at steps that are known beforehand: on f(w) = w^2/2 a step is w <- (1 - lr) w.

A run ends exactly where its rule says, and a run that repeats is called steady as `train` would call it, wherever the
end lies, whoever shares the registers, and whatever is measured.
"""

import numpy as np
import pytest

import eosfast as eos
from sweep_reference import ALL_MEASURES, STATUS

SQUARE = eos.ScalarProduct(depth=1, target=0.0)
COMPLETED, CONVERGED, DIVERGED, STEADY = (
    STATUS.index(name) for name in ("completed", "converged", "diverged", "steady")
)
ANCHOR = 960  # an iterate that equals, bitwise, the one 960 steps ago, at a multiple of 960 steps, is steady
EDGES = [0, 1, 2, 23, 24, 25, 47, 48, 49, 215, 216, 217, 239, 240, 241, 263, 264, 265, 479, 480, 481, 600]
SUMS = ("mean_loss", "mean_sharpness", "mean_grad_norm", "lyapunov")


def sweep(w, lr, num_steps, **options):
    options = {"measure": ("weights", "loss"), "num_threads": 1} | options
    return eos.sweep(SQUARE, eos.GD(), {"lr": ("run", lr), "w1": ("run", w)}, num_steps=num_steps, **options)


def ending_after(steps, rule, level):
    """Starts and step sizes with which |w| passes `level` between the steps k - 1 and k, for each k of `steps`.

    Converging runs shrink by 3/4 a step, diverging ones are multiplied by -3/2.
    """
    steps = np.asarray(steps, dtype=float)
    ratio = {"converged": 0.75, "diverged": 1.5}[rule]
    return level * ratio ** (0.5 - steps), np.full(len(steps), {"converged": 0.25, "diverged": 2.5}[rule])


def check_ends(found, steps, num_steps, status):
    steps = np.asarray(steps)
    np.testing.assert_array_equal(found.num_steps_done, np.minimum(steps, num_steps))
    np.testing.assert_array_equal(found.status, np.where(steps <= num_steps, status, COMPLETED))


RULES = [
    ("converged", 1e-3, CONVERGED, eos.Stop(loss=0.5e-6, diverged=np.inf)),
    ("converged", 1e-3, CONVERGED, eos.Stop(grad_norm=1e-3, diverged=np.inf)),
    ("converged", 1e-3, CONVERGED, eos.Stop(grad_norm=1e-3, loss=0.5e-6, diverged=np.inf, steady=False)),
    ("diverged", 1e3, DIVERGED, eos.Stop(diverged=0.5e6)),
    ("diverged", 1e3, DIVERGED, eos.Stop(diverged=0.5e6, loss=1e-300)),
    ("diverged", 1e3, DIVERGED, eos.Stop(diverged=0.5e6, steady=False)),
]


@pytest.mark.parametrize("num_steps", [1, 24, 239, 240, 241, 480, 1000])
@pytest.mark.parametrize(("rule", "level", "status", "stop"), RULES)
def test_runs_end_exactly_where_they_should(rule, level, status, stop, num_steps):
    steps = np.random.default_rng(1).permutation(np.r_[EDGES, np.arange(0, 500, 3), np.full(60, 700)])
    w, lr = ending_after(steps, rule, level)
    found = sweep(w, lr, num_steps, stop=stop)
    check_ends(found, steps, num_steps, status)
    done = found.num_steps_done.values
    np.testing.assert_allclose(found.weights[:, 0], w * (1 - lr) ** done, rtol=1e-12)
    np.testing.assert_allclose(found.loss, found.weights[:, 0] ** 2 / 2, rtol=1e-14)


@pytest.mark.parametrize("k", EDGES)
@pytest.mark.parametrize(("rule", "level", "status", "stop"), RULES[:4])
def test_all_runs_may_end_at_once(rule, level, status, stop, k):
    w, lr = ending_after(np.full(150, k), rule, level)
    check_ends(sweep(w, lr, 2000, stop=stop), np.full(150, k), 2000, status)


@pytest.mark.parametrize(
    "measure", [(), ("period",), ("max_loss", "loss_increases"), ("mean_sharpness",), ALL_MEASURES]
)
@pytest.mark.parametrize(("rule", "level", "status", "stop"), RULES)
def test_short_runs_among_long_ones(rule, level, status, stop, measure):
    steps = np.where(np.arange(300) % 3 == 0, 10**6, np.arange(300) % 260)
    w, lr = ending_after(np.where(steps > 1000, 0, steps), rule, level)
    w[steps > 1000], lr[steps > 1000] = 1.0, 2.0  # forever between 1 and -1
    measure = ("weights", *(one for one in measure if one != "weights"))
    num_steps = 961
    found = sweep(w, lr, num_steps, stop=stop, measure=measure, num_threads=2)
    long = steps > 1000
    check_ends(found.isel(run=~long), steps[~long], num_steps, status)
    assert set(found.status.values[long]) == {STEADY if stop.steady else COMPLETED}
    assert (found.weights.values[long] == -1).all()
    done = found.num_steps_done.values[~long]
    if "period" in found:
        assert set(found.period.values[long]) == {2}
        if status == CONVERGED:  # it shrinks to the end
            assert (found.period.values[~long] == 0).all()
    if "loss_increases" in found:
        assert (found.loss_increases.values[~long] == (done if status == DIVERGED else 0)).all()
        assert (found.loss_increases.values[long] == 0).all()
        loss = (w * (1 - lr) ** found.num_steps_done.values) ** 2 / 2
        np.testing.assert_allclose(found.max_loss, np.maximum(loss, w**2 / 2), rtol=1e-12)
    if "lyapunov" in found:
        assert (found.lyapunov.values[long] == 0).all()


def is_steady(since, num_steps):
    """Whether two multiples of 960 steps, before the last step, lie on the cycle that is entered at step `since`."""
    return -(-since // ANCHOR) * ANCHOR + ANCHOR < num_steps


FIXED = [k for k in [*EDGES, 719, 720, 721, 959, 960, 961, 1000, 1090] if k > 0]


@pytest.mark.parametrize("num_steps", [1, 100, 960, 961, 1200, 1920, 1921, 2880, 2881, 20_000])
@pytest.mark.parametrize("measure", [(), ALL_MEASURES, (eos.Mean("loss", last=5), "period"), ("lyapunov",)])
@pytest.mark.parametrize("loss", [None, 0.0])
def test_steady_runs_are_those_that_repeat_at_two_anchors(num_steps, measure, loss):
    # 2^m is halved until it is 2^-1074, the smallest number, at step m + 1074; half of that is rounded to 0
    since = np.array([0, 0, *FIXED] * 5)
    w, lr = 2.0 ** (since - 1075.0), np.full(len(since), 0.5)
    smallest = 0.0 if eos.build_info()["fused_multiply_add"] else 2.0**-1074  # lr times gradient is 0 if it is rounded
    expected = np.maximum(w * 0.5 ** float(min(num_steps, 1100)), smallest)
    since = since if smallest == 0.0 else np.maximum(since - 1, 0)
    w[:2], lr[:2], expected[:2] = 1.0, 2.0, (-1.0) ** num_steps  # a cycle of two from the start
    measure = ("weights", *(one for one in measure if one != "weights"))
    found = sweep(w, lr, num_steps, measure=measure, stop=eos.Stop(loss=loss))
    np.testing.assert_array_equal(found.status, [STEADY if is_steady(k, num_steps) else COMPLETED for k in since])
    assert (found.num_steps_done == num_steps).all()
    np.testing.assert_array_equal(found.weights[:, 0], expected)
    computed = sweep(w, lr, num_steps, measure=measure, stop=eos.Stop(loss=loss, steady=False))
    for name in set(found.data_vars) - {"status"}:
        if name in SUMS:
            np.testing.assert_allclose(found[name], computed[name], rtol=1e-9, atol=1e-300)
        else:
            np.testing.assert_array_equal(found[name], computed[name], err_msg=name)


@pytest.mark.parametrize("stop", [eos.Stop(), eos.Stop(loss=1e-20), eos.Stop(grad_norm=1e-9, diverged=1e4)], ids=repr)
@pytest.mark.parametrize("optimizer", [eos.GD(), eos.HeavyBall(momentum=0.5), eos.NormalizedGD()], ids=repr)
def test_no_run_depends_on_its_neighbours_or_on_what_is_measured(optimizer, stop):
    rng = np.random.default_rng(7)
    w = rng.uniform(-3, 3, size=(2, 400))
    grid = {"lr": ("run", 10 ** rng.uniform(-2, 0.3, size=400)), "w1": ("run", w[0]), "w2": ("run", w[1])}

    def run(measure, chosen=slice(None)):
        part = {name: ("run", values[chosen]) for name, (_, values) in grid.items()}
        return eos.sweep(
            eos.ScalarProduct(), optimizer, part, num_steps=4000, measure=measure, stop=stop, num_threads=1
        )

    everything = run(ALL_MEASURES)
    assert len(set(everything.status.values)) > 1
    for measure in (("weights",), ("max_loss",), ("period",), ("lyapunov",), (eos.Mean("loss", last=7),)):
        for chosen in (slice(None), slice(0, 5), slice(100, 140), slice(None, None, -3)):
            alone = run(measure, chosen)
            for name in alone.data_vars:
                assert alone[name].values.tobytes() == everything[name].values[chosen].tobytes(), (measure, name)
