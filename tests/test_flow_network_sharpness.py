"""The sharpness at the end of the gradient flow of deep linear networks, against closed forms and SciPy."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import eosfast as eos
from interruption import words_after_ctrl_c

RECORD = eos.Record(quantities=("gfs_sharpness",))
DIAGONAL = eos.LinearNetwork((2, 2, 2), target=[[2.0, 0.0], [0.0, 1.0]])


def gfs(model, w):
    return eos.train(model, w, eos.GD(1e-3), num_steps=0, record=RECORD).gfs_sharpness.item()


def scalars(depth, target=1.0):
    return eos.LinearNetwork((1,) * (depth + 1), target=[[target]])


def samples(n, d, outputs, seed=0):
    draws = np.random.default_rng(seed)
    return eos.Dataset(draws.standard_normal((n, d)), draws.standard_normal((n, outputs)))


@pytest.mark.parametrize("target", [1.0, -2.0, 0.3])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_width_one_has_a_closed_form(depth, target):
    for w in np.random.default_rng(depth).standard_normal((12, depth)) * 1.3:
        assert gfs(scalars(depth, target), w) == pytest.approx(gfs(eos.ScalarProduct(depth, target), w), rel=1e-6)


def test_wide_ranges():
    for w in ([30.0, 0.1], [1e3, 1.0], [1e-6, 2e-6, 3e-6], [100.0, 50.0, 20.0], [10.0, 50.0, 0.2], [0.1, 8.0, 1e-3]):
        expected = gfs(eos.ScalarProduct(len(w)), w)
        assert gfs(scalars(len(w)), w) == pytest.approx(expected, rel=1e-6)


def ends_of_scipy(widths, X, Y, scale, w):
    """The Hessian's largest eigenvalue, by differences of the gradient, where LSODA stops moving."""
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    cuts = np.cumsum([a * b for a, b in shapes])[:-1]

    def grad(w):
        layers = [part.reshape(shape) for part, shape in zip(np.split(w, cuts), shapes, strict=True)]
        reached = [X]
        for W in layers:
            reached.append(W @ reached[-1])
        error, parts = scale * (reached.pop() - Y), []
        for W, before in zip(layers[::-1], reached[::-1], strict=True):
            parts.append((error @ before.T).ravel())
            error = W.T @ error
        return np.concatenate(parts[::-1])

    end = solve_ivp(lambda _, w: -grad(w), (0, 400), w, "LSODA", rtol=1e-11, atol=1e-13).y[:, -1]
    assert np.linalg.norm(grad(end)) < 1e-8
    h = 1e-5
    hessian = np.array([(grad(end + h * e) - grad(end - h * e)) / (2 * h) for e in np.eye(len(w))])
    return np.linalg.eigvalsh(0.5 * (hessian + hessian.T))[-1]


@pytest.mark.parametrize(
    ("widths", "n"),
    [((2, 2, 2), None), ((2, 1, 2), None), ((3, 4, 2, 3), None), ((2, 3, 2), 7), ((3, 2, 1), 2), ((3, 1, 2), 9)],
)
def test_against_an_independent_integration(widths, n):
    # reached exactly; of too low a rank; with samples that no network fits; with fewer samples than coordinates
    draws = np.random.default_rng(5)
    target = draws.standard_normal((widths[-1], widths[0]))
    if n is None:
        model, X, Y = eos.LinearNetwork(widths, target=target), np.eye(widths[0]), target
    else:
        data = samples(n, widths[0], widths[-1], 3)
        model, X, Y = eos.LinearNetwork(widths, data=data), data.X.T, data.y.T
    for seed in (0, 1):
        w = model.init(seed)
        assert gfs(model, w) == pytest.approx(ends_of_scipy(widths, X, Y, 1.0, w), rel=1e-6)


def test_repeated_samples_leave_a_target_out_of_reach():
    X = samples(2, 4, 1).X
    model = eos.LinearNetwork((4, 3, 1), data=eos.Dataset(np.vstack([X, X]), [1.0, 2.0, 3.0, -1.0]), loss_scale=0.5)
    w = model.init(2)
    far = eos.gradient_flow(model, w, times=[300.0], quantities=("sharpness", "grad_norm"), tol=1e-9)
    assert far.grad_norm.item() < 1e-6
    assert gfs(model, w) == pytest.approx(far.sharpness.item(), rel=1e-6)


def test_it_is_a_constant_of_the_flow():
    flow = eos.gradient_flow(DIAGONAL, DIAGONAL.init(3), times=[0, 0.3, 2, 50], quantities=("gfs_sharpness", "weights"))
    np.testing.assert_allclose(flow.gfs_sharpness, DIAGONAL.minimum_spectrum(flow.weights[-1], 1)[0], rtol=1e-6)


def test_flows_that_end_in_a_saddle_or_never():
    assert np.isnan(gfs(scalars(2), [1.0, -1.0]))  # w1 = -w2 stays so
    assert np.isnan(gfs(scalars(3), [0.0, 0.0, 0.0]))  # where the Hessian is zero
    assert np.isnan(gfs(scalars(3), [0.0, 0.0, 2.0]))
    assert np.isnan(gfs(DIAGONAL, [1.0, 0, 0, 0, 1.0, 0, 0, 0]))  # the second singular value is never found
    assert np.isnan(gfs(scalars(2), [1e200, 1e200]))
    assert gfs(scalars(2, 0.0), [2.0, 1.0]) == pytest.approx(3.0, rel=1e-6)  # zero is no saddle there
    assert gfs(scalars(2, 0.0), [1.0, 1.0]) == pytest.approx(0.0, abs=1e-6)


def test_a_minimum_where_the_run_already_is():
    run = eos.train(
        DIAGONAL,
        DIAGONAL.init(1),
        eos.GD(0.2),
        num_steps=3000,
        record=eos.Record(every=1000, quantities=("gfs_sharpness", "sharpness"), tol=1e-9),
    )
    assert run.gfs_sharpness[-1] == pytest.approx(run.sharpness[-1].item(), rel=1e-8)


def test_gradient_descent_flattens_it():
    # the run of the flow from (3, 0.2), and gradient descent beyond the edge: w1^2 - w2^2 shrinks
    model, start, lr = scalars(2), [3.0, 0.2], 0.2
    run = eos.train(model, start, eos.GD(lr), num_steps=300, record=eos.Record(quantities=("gfs_sharpness", "loss")))
    values = run.gfs_sharpness.values
    assert lr * values[0] == pytest.approx(lr * np.hypot(9 - 0.04, 2.0), rel=1e-7)
    assert lr * values[0] == pytest.approx(1.8361, abs=1e-4)
    assert lr * values[-1] == pytest.approx(1.8024, abs=1e-4)
    shrinks = lr * np.sqrt(2 * run.loss.values[:-1]) <= 1
    assert shrinks.sum() > 290
    assert np.max((values[1:] / values[:-1])[shrinks]) < 1 + 1e-8


def test_it_changes_no_bit_of_the_run_and_a_sweep_has_those_of_train():
    names = ("loss", "weights", "sharpness", "grad_norm")
    for rule in (eos.GD(0.15), eos.HeavyBall(0.05, 0.5)):
        runs = [
            eos.train(
                DIAGONAL, None, rule, num_steps=40, seed=3, record=eos.Record(quantities=wanted), num_threads=many
            )
            for wanted, many in ((names, 1), ((*names, "gfs_sharpness"), 1), ((*names, "gfs_sharpness"), 2))
        ]
        for name in names:
            np.testing.assert_array_equal(runs[0][name], runs[1][name])
        np.testing.assert_array_equal(runs[1].gfs_sharpness, runs[2].gfs_sharpness)
        measure = ("gfs_sharpness", "loss")
        for seeds, threads in ([3], 2), (list(range(12)), 1), (list(range(12)), 3):
            swept = eos.sweep(DIAGONAL, rule, {"seed": seeds}, num_steps=40, measure=measure, num_threads=threads)
            assert swept.gfs_sharpness.sel(seed=3).item() == runs[1].gfs_sharpness[-1].item()
            assert swept.loss.sel(seed=3).item() == runs[1].loss[-1].item()


CODE = """
import numpy as np, eosfast as eos
model = eos.LinearNetwork((40, 40, 40), target=np.diag(np.geomspace(1, 1e-9, 40)))
eos.train(model, None, eos.GD(0.1), num_steps=0)  # what is imported on first use
print("ready", flush=True)
record = eos.Record(quantities=("gfs_sharpness",))
run = eos.train(model, model.init(0) * 1e-2, eos.GD(0.1), num_steps=300, record=record)
print(run.attrs["status"], flush=True)
"""


def test_ctrl_c_ends_the_search():
    assert words_after_ctrl_c(CODE, 1.0) == ["interrupted"]
