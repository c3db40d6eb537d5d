"""`gradient_flow`: against closed forms, SciPy's integrators, and what the flow conserves."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import eosfast as eos
import network_reference
import reference
from reference import DATA

# Without those whose flow slides along a kink of the loss.
SMALL = [
    model
    for model in reference.EXAMPLES
    if not isinstance(model, eos.ThresholdNeuron) and model != eos.CurvedValley(root=True)
]
SMOOTH = [model for model in network_reference.EXAMPLES if "'relu'" not in repr(model)]


def flow(model, w0, times, quantities=("weights",), **options):
    """The weights (..., time, parameter) of a flow that arrives."""
    run = eos.gradient_flow(model, w0, times=times, quantities=quantities, **options)
    assert run.attrs["status"] == "completed"
    return run.weights.values


def by_scipy(grad, w0, times, **options):
    accurate = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13} | options
    solution = solve_ivp(lambda _, w: -grad(w), (0, times[-1]), w0, t_eval=times, **accurate)
    assert solution.success
    return solution.y.T


# --------------------------------------------------------------------------------------------------------- closed forms


def test_a_quadratic_decays_exponentially():
    times = np.array([0.0, 0.1, 1.0, 2.5, 10.0])
    path = flow(eos.ScalarProduct(depth=1, target=3.0), [5.0], times)[:, 0]
    np.testing.assert_allclose(path, 3 + 2 * np.exp(-times), rtol=1e-8)


@pytest.mark.parametrize(("depth", "power"), [(3, 4), (4, 6)])
def test_equal_factors_decay_algebraically(depth, power):
    # w' = -w^(2 depth - 1) on the diagonal, target 0
    times = np.array([0.0, 0.3, 2.0, 50.0])
    w = flow(eos.ScalarProduct(depth=depth, target=0.0), np.full(depth, 1.2), times)
    expected = (1.2**-power + power * times) ** (-1 / power)
    np.testing.assert_allclose(w, np.repeat(expected[:, None], depth, axis=1), rtol=1e-7)


def test_equal_factors_follow_the_logistic_curve():
    # p = w^2 with w = w1 = w2: p' = 2 p (target - p)
    times, target = np.linspace(0, 4, 9), 1.5
    w = flow(eos.ScalarProduct(target=target), [0.1, 0.1], times)
    growth = np.exp(2 * target * times)
    np.testing.assert_allclose(w[:, 0] ** 2, target * 0.01 * growth / (target + 0.01 * (growth - 1)), rtol=1e-7)


def test_logistic_regression_on_one_sample():
    # m = y x.w: m' = |x|^2 / (1 + e^m), so that m + e^m grows at the speed |x|^2; and w moves along x
    x = np.array([0.6, -1.2, 0.3])
    model = eos.LogisticRegression(eos.Dataset(x[None], [-1]))
    w0, times = np.array([0.2, 0.1, -0.4]), np.array([0.0, 0.5, 3.0, 40.0])
    w = flow(model, w0, times)
    m0, m = -x @ w0, -w @ x
    np.testing.assert_allclose(m + np.exp(m), m0 + np.exp(m0) + x @ x * times, rtol=1e-7)
    np.testing.assert_allclose(w - w0, np.outer((m0 - m) / (x @ x), x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", ["sqrt", "logcosh", "logistic", "huber", "power"])
@pytest.mark.parametrize("w0", [[0.3, 15.0], [-2.0, 2.5], [8.0, 9.0]], ids=str)
def test_a_neuron_conserves_and_arrives(loss, w0):
    times = np.array([0.01, 0.1, 1.0, 100.0])
    run = eos.gradient_flow(eos.SingleNeuron(loss), w0, times=times, quantities=("weights", "sharpness"))
    x, y = run.weights.values.T
    D = w0[1] ** 2 - w0[0] ** 2
    np.testing.assert_allclose((y - x) * (y + x), D, rtol=1e-6)
    curvature = 0.25 if loss == "logistic" else 1.0
    assert run.sharpness[-1] == pytest.approx(curvature * D, rel=1e-6)
    assert abs(x[-1]) < 1e-8


@pytest.mark.parametrize("depth", [2, 3, 4, 7])
def test_a_product_conserves_differences_of_squares(depth):
    w0 = np.random.default_rng(depth).standard_normal((20, depth)) * 1.5
    w = flow(eos.ScalarProduct(depth=depth), w0, [0.1, 1.0, 30.0])
    differences = (w**2)[..., 1:] - (w**2)[..., :-1]
    expected = np.broadcast_to((w0**2)[:, None, 1:] - (w0**2)[:, None, :-1], differences.shape)
    np.testing.assert_allclose(differences, expected, rtol=0, atol=1e-6)
    tight = flow(eos.ScalarProduct(depth=depth), w0, [0.1, 1.0, 30.0], rtol=1e-11, atol=1e-13)
    differences = (tight**2)[..., 1:] - (tight**2)[..., :-1]
    np.testing.assert_allclose(differences, expected, rtol=0, atol=1e-9)


# ------------------------------------------------------------------------------------------------- against integrators


@pytest.mark.parametrize("model", SMALL, ids=repr)
def test_small_models_follow_scipy(model):
    w0 = np.random.default_rng(1).standard_normal(model.dim)
    times = [0.2, 1.0, 5.0]
    expected = by_scipy(reference.definition(model).grad, w0, times)
    np.testing.assert_allclose(flow(model, w0, times), expected, rtol=1e-6, atol=1e-8)


def test_a_gradient_with_jumps_is_followed():
    model = eos.ThresholdNeuron(DATA)  # the gradient jumps where b passes a coordinate of a sample: SciPy gives up
    w0, lr = np.array([0.5, -0.7, 1.0]), 1e-5
    run = eos.train(model, w0, eos.GD(lr), num_steps=50_000, record=eos.Record([0, 50_000], ("weights",)))
    end = flow(model, w0, [0.5])[-1]
    assert np.linalg.norm(end - w0) > 0.5
    np.testing.assert_allclose(end, run.weights.values[-1], atol=20 * lr)


@pytest.mark.parametrize("model", SMOOTH, ids=repr)
def test_networks_follow_scipy(model):
    w0, times = model.init(3), [0.5, 3.0]
    expected = by_scipy(model.grad, w0, times, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(flow(model, w0, times), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", [eos.SingleNeuron(), eos.ScalarProduct(depth=3), eos.MLP(eos.datasets.xor(), (4,))])
def test_the_error_follows_the_tolerance(model):
    w0 = np.array([1.5, 2.0, 0.4])[: model.dim] if model.dim < 4 else model.init(1)
    exact = by_scipy(model.grad, w0, [2.0], rtol=3e-14, atol=1e-15)
    errors, steps = [], []
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        run = eos.gradient_flow(model, w0, times=[2.0], quantities="weights", rtol=rtol, atol=rtol)
        errors.append(np.abs(run.weights.values - exact).max() / rtol)
        steps.append(run.attrs["num_steps"])
    assert max(errors) < 10
    assert np.all(np.diff(steps) > 0)
    # order 5 with steps of order 4: a tolerance 100 times smaller takes 100^(1/5) = 2.5 times as many steps
    assert 1.8 < steps[3] / steps[2] < 3.2


def test_the_quantities_are_those_of_the_model_there():
    for model, w0 in ((eos.ScalarProduct(depth=3), [0.3, 2.0, -1.0]), (eos.MLP(eos.datasets.xor(), (3,)), None)):
        start = model.init(0) if w0 is None else w0
        names = ("loss", "sharpness", "hessian_eigs", "grad_norm", "weights", "weight_norm")
        run = eos.gradient_flow(model, w0, times=[0.0, 0.7, 3.0], quantities=names, k=3, tol=1e-10)
        np.testing.assert_array_equal(run.weights[0], start)
        for at in (run.isel(time=i) for i in range(3)):
            w = at.weights.values
            assert at.loss == pytest.approx(model.loss(w), rel=1e-12)
            assert at.grad_norm == pytest.approx(np.linalg.norm(model.grad(w)), rel=1e-9)
            assert at.weight_norm == pytest.approx(np.linalg.norm(w), rel=1e-13)
            top = np.linalg.eigvalsh(model.hessian(w))[::-1][:3]
            np.testing.assert_allclose(at.hessian_eigs, top, rtol=1e-8, atol=1e-10)
            assert at.sharpness == pytest.approx(top[0], rel=1e-8)
            assert at.sharpness_converged
            assert at.sharpness_residual <= 1e-9 * top[0]


# ------------------------------------------------------------------------------------------------------------ stiffness


@pytest.mark.parametrize("sharpness", [1e2, 1e4, 1e8, 1e12])
def test_stiffness_costs_small_models_nothing(sharpness):
    run = eos.gradient_flow(eos.SingleNeuron(), [0.3, sharpness**0.5], times=[1e6], quantities=("weights", "sharpness"))
    assert run.attrs["status"] == "completed"
    assert run.attrs["num_steps"] < 400
    assert run.sharpness.values[0] == pytest.approx(sharpness - 0.09, rel=1e-7)


def test_progressive_sharpening_to_thousands():
    run = eos.gradient_flow(eos.MeanModel(), [0.3, 0.1, 0.0], times=[1000.0], quantities=("sharpness", "loss"))
    assert run.attrs["num_steps"] < 300
    assert run.sharpness.values[0] > 2000


def test_the_row_space_is_invisible():
    wide = eos.datasets.teacher(n=5, d=40, width=3, seed=1)
    paths = [flow(eos.MLP(wide, (4,), reduce=reduce), None, [0.5, 2.0], seed=2) for reduce in (True, False)]
    np.testing.assert_allclose(*paths, rtol=1e-6, atol=1e-8)


def test_single_precision():
    paths = [flow(eos.MLP(eos.datasets.xor(), (5,), dtype=dtype), None, [1.0, 9.0]) for dtype in ("float64", "float32")]
    assert 0 < np.abs(paths[0] - paths[1]).max() < 1e-5


# -------------------------------------------------------------------------------------- gradient descent of small steps


@pytest.mark.parametrize("model", [eos.SingleNeuron(), eos.MLP(eos.datasets.xor(), (3,))], ids=repr)
def test_descent_tends_to_the_flow(model):
    w0 = model.init(5)
    end = flow(model, w0, [2.0])[-1]
    gaps = []
    for lr in (0.02, 0.01, 0.005):
        num_steps = round(2.0 / lr)
        record = eos.Record(num_steps, quantities=("weights", "distance_to_flow"))
        run = eos.train(model, w0, eos.GD(lr), num_steps=num_steps, record=record)
        gaps.append(np.linalg.norm(run.weights.values[-1] - end))
        assert run.distance_to_flow.values[-1] == pytest.approx(gaps[-1], abs=1e-7)
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.05)
