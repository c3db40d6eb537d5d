"""The toy landscapes: numerical range, invariants of the papers, and the laws that their dynamics follow."""

import mpmath
import numpy as np
import pytest

import eosfast as eos

ROOT, SQUARE = eos.CurvedValley(root=True), eos.CurvedValley()


def weights(model, w0, optimizer, num_steps, every=None):
    record = eos.Record(every or max(1, num_steps), quantities=("weights",))
    return eos.train(model, w0, optimizer, num_steps=num_steps, record=record).weights.values


# ------------------------------------------------------------------------------------------------------ numerical range


@pytest.mark.parametrize("loss", ["sqrt", "logcosh", "logistic", "huber", "power"])
def test_losses_of_one_number_are_those_of_the_single_neuron(loss):
    for x in (0.0, 1e-9, -0.3, 2.0, -1e300):
        one, neuron = eos.Scalar1D(loss, beta=3.0), eos.SingleNeuron(loss, beta=3.0)
        assert one.loss([x]) == neuron.loss([x, 1.0])
        assert one.grad([x])[0] == neuron.grad([x, 1.0])[0]
        assert one.hessian([x])[0, 0] == neuron.hessian([x, 1.0])[0, 0]


def test_the_quartic_is_accurate_at_its_minima_and_does_not_overflow_before_its_value():
    model = eos.Scalar1D("quartic", target=2.0)
    with mpmath.workdps(60):
        x = mpmath.mpf(float(np.sqrt(2.0)))
        assert model.loss([float(x)]) == pytest.approx(float((x * x - 2) ** 2 / 4), rel=1e-14)
        assert model.grad([float(x)])[0] == pytest.approx(float(x * (x * x - 2)), rel=1e-14)
    assert eos.Scalar1D("quartic").loss([1.6e77]) == pytest.approx((1.6e77**2 / 2) ** 2, rel=1e-14)
    assert eos.Scalar1D("quartic", target=1e300).hessian([1e150])[0, 0] == pytest.approx(2e300)


@pytest.mark.parametrize("model", [SQUARE, ROOT], ids=repr)
@pytest.mark.parametrize(
    "w", [(1e-200, 1e300), (1e150, 1e-200), (-1e-160, 3.0), (1e-120, -1e200), (2.0, 1e-170), (1e-300, 1e5)]
)
def test_the_valley_has_no_intermediate_overflow(model, w):
    with mpmath.workdps(50):
        x, y = map(mpmath.mpf, w)
        h = mpmath.sqrt(1 + y * y)
        s = mpmath.sign(x)
        if model.root:
            exact = [abs(x) * h, s * h, abs(x) * y / h, 0, s * y / h, abs(x) / h**3]
        else:
            exact = [h * h * x * x, 2 * h * h * x, 2 * x * x * y, 2 * h * h, 4 * x * y, 2 * x * x]
        exact = [float(value) for value in exact]
    H = model.hessian(w)
    found = [model.loss(w), *model.grad(w), H[0, 0], H[0, 1], H[1, 1]]
    np.testing.assert_allclose(found, exact, rtol=1e-15, atol=1e-307)


def test_at_its_kink_the_root_has_derivative_zero():
    np.testing.assert_array_equal(ROOT.grad([0.0, 3.0]), [0.0, 0.0])
    np.testing.assert_array_equal(ROOT.grad([-0.0, 3.0]), [0.0, 0.0])
    np.testing.assert_array_equal(weights(ROOT, [0.0, 3.0], eos.GD(0.5), 10)[-1], [0.0, 3.0])


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_scaling_the_weights_changes_only_the_size_of_derivatives(scale):
    model, w = eos.ScaleInvariant(2.5), np.array([0.3, -1.1, 0.7])
    assert model.loss(scale * w) == pytest.approx(model.loss(w), rel=1e-14)
    unscaled = model.grad(scale * w) * scale
    np.testing.assert_allclose(unscaled, model.grad(w), rtol=1e-13)
    if scale == 1 or abs(np.log10(scale)) == 150:
        np.testing.assert_allclose(model.hessian(scale * w) * scale * scale, model.hessian(w), rtol=1e-13)
    assert abs(unscaled @ w) <= 1e-15 * np.linalg.norm(unscaled) * np.linalg.norm(w)
    np.testing.assert_allclose(model.hessian(w) @ w, -model.grad(w), rtol=1e-13)  # the derivative of that


def test_no_weights_have_no_direction():
    model = eos.ScaleInvariant()
    assert np.isnan(model.loss(np.zeros(3)))
    assert np.isnan(model.grad(np.zeros(3))).all()
    assert np.isnan(model.hessian(np.zeros(3))).all()
    run = eos.train(model, np.zeros(3), eos.GD(0.1), num_steps=10)
    assert (run.attrs["status"], run.attrs["num_steps_done"]) == ("diverged", 0)
    result = eos.sweep(model, eos.GD(0.1), {"w3": [0.0, 1.0]}, w0={"w1": 0.0, "w2": 0.0}, num_steps=1000)
    assert list(result.status.values) == [2, 3]


# ----------------------------------------------------------------------------------------------------------- their laws


def test_an_even_loss_ends_on_its_two_cycle():
    """l'(x) = 2 x/lr: sqrt(1 + x^2) = lr/2."""
    x = weights(eos.Scalar1D("sqrt"), [0.5], eos.GD(3.0), 1001)[-1, 0]
    assert abs(x) == pytest.approx(np.sqrt(1.25), abs=1e-10)
    result = eos.sweep(eos.Scalar1D("logcosh"), eos.GD(), {"lr": [1.9, 3.0]}, w0=[0.5], num_steps=5000)
    assert abs(float(result.weights[1, 0])) == pytest.approx(1.287839, abs=1e-6)
    assert abs(float(result.weights[0, 0])) < 1e-10


@pytest.mark.parametrize("K", [1.05, 1.1, 1.2])
def test_the_two_cycle_of_the_quartic(K):
    mu = 1.7
    last = weights(eos.Scalar1D("quartic", target=mu), [1.2], eos.GD(K / mu), 4001, every=[4000, 4001])[:, 0]
    root = np.sqrt((K - 1) * (K + 3))
    np.testing.assert_allclose(
        np.sort(last**2), [mu * (1 + K - root) / (2 * K), mu * (1 + K + root) / (2 * K)], rtol=1e-9
    )
    assert np.prod(last) == pytest.approx(mu / K, rel=1e-9)


def test_normalised_descent_flows_down_the_sharpness():
    """dy/dtau = -y/(2 (1 + y^2)), tau = lr^2 t, so that log y + y^2/2 falls by tau/2."""
    lr = 0.02
    path = weights(SQUARE, [lr / 2, 1.0], eos.NormalizedGD(lr), round(2 / lr**2), every=1)
    y = path[-1, 1]
    assert y == pytest.approx(0.527697, abs=1e-5)
    assert np.log(y) + y * y / 2 == pytest.approx(-0.5, abs=1e-5)
    np.testing.assert_allclose(np.abs(path[:-1, 0]) + np.abs(path[1:, 0]), lr, rtol=1e-3)
    assert (path[:-1, 0] * path[1:, 0] < 0).all()


def test_descent_on_the_root_flows_down_the_sharpness():
    lr = 0.01
    path = weights(ROOT, [lr / 2 * np.sqrt(2), 1.0], eos.GD(lr), round(2 / lr**2), every=1000)
    tau = lr**2 * 1000 * np.arange(len(path))
    np.testing.assert_allclose(path[:, 1], np.exp(-tau / 2), rtol=2e-4)
    np.testing.assert_allclose(np.abs(path[:, 0]), lr / 2 * np.sqrt(1 + path[:, 1] ** 2), rtol=1e-3)


@pytest.mark.parametrize(("beta", "lr"), [(1.0, 0.1), (4.0, 0.02)])
def test_self_stabilization_is_the_reduced_dynamics(beta, lr):
    """x <- -(1 + lr u) x, u <- u + lr (alpha - beta x^2/2), u = sqrt(beta) y - 2/lr."""
    alpha, x, u = 0.7, 0.9, 0.3
    model = eos.SelfStabilization(alpha, beta)
    path = weights(model, [x, (2 / lr + u) / np.sqrt(beta)], eos.GD(lr), 300, every=1)
    for w in path:
        np.testing.assert_allclose(w, [x, (2 / lr + u) / np.sqrt(beta)], rtol=1e-8)
        x, u = -(1 + lr * u) * x, u + lr * (alpha - beta * x * x / 2)


def test_self_stabilization_goes_round():
    """Around x^2 = 2 alpha/beta the period is about 2 pi/(lr sqrt(2 alpha)) steps."""
    alpha, lr = 1.0, 0.01
    model = eos.SelfStabilization(alpha)
    path = weights(model, [1.1 * np.sqrt(2 * alpha), 2 / lr], eos.GD(lr), 2000, every=1)
    u = path[:, 1] - 2 / lr
    upwards = np.flatnonzero((u[:-1] < 0) & (u[1:] >= 0))
    assert np.diff(upwards).mean() == pytest.approx(2 * np.pi / (lr * np.sqrt(2 * alpha)), rel=0.01)


def test_the_minimal_model_of_berthier_reaches_the_edge_when_it_should():
    """From (0, 5) with lr = 0.3, zeta = 1: about (2/lr - 5)/(lr eps) steps, and then y stays about 2/lr."""
    lr, eps = 0.3, 1e-3
    model = eos.SelfStabilization(alpha=eps, beta=1.0, slope=1.0, tilt=eps)
    path = weights(model, [0.0, 5.0], eos.GD(lr), 60_000, every=1)
    arrival = int(np.argmax(path[:, 1] >= 2 / lr))
    assert arrival == pytest.approx((2 / lr - 5) / (lr * eps), rel=0.01)
    assert path[-20_000:, 1].mean() == pytest.approx(2 / lr, abs=0.01)


def test_weight_decay_keeps_a_scale_invariant_loss_at_the_edge():
    """lr q/((1 - lr decay) |w|^2) about 2, while phi follows -2 L'/(4 + L'^2) in the time lr decay t."""
    lr, decay, phi = 1.0, 1e-4, 1.0

    def q(angle):
        return np.cos(angle) ** 2 + 3 * np.sin(angle) ** 2

    w0 = np.array([1e-3, np.cos(phi), np.sin(phi)]) * np.sqrt(lr * q(phi) / 2)
    path = weights(eos.ScaleInvariant(3.0), w0, eos.GD(lr, decay), 10_000, every=10)
    angle = np.arctan2(path[:, 2], path[:, 1])
    effective = lr * q(angle) / ((1 - lr * decay) * (path**2).sum(axis=1))
    assert np.abs(effective - 2).max() < 0.05
    for _ in range(1000):  # Euler's steps of the flow, to time 1
        slope = 2 * np.sin(2 * phi) / q(phi)
        phi -= 1e-3 * 2 * slope / (4 + slope**2)
    assert angle[-1] == pytest.approx(phi, abs=5e-3)


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: eos.Scalar1D("cubic"), ValueError, ["loss of Scalar1D", "'quartic'", "'cubic'"]),
        (lambda: eos.Scalar1D("power", beta=1.0), ValueError, ["beta of Scalar1D", "> 1"]),
        (lambda: eos.Scalar1D("quartic", target=np.nan), ValueError, ["target of Scalar1D", "finite"]),
        (lambda: eos.SelfStabilization(beta=0.0), ValueError, ["beta of SelfStabilization", "> 0"]),
        (lambda: eos.SelfStabilization(alpha="1"), TypeError, ["alpha of SelfStabilization"]),
        (lambda: eos.CurvedValley(root=1), TypeError, ["root of CurvedValley", "True or False"]),
        (lambda: eos.ScaleInvariant(ratio=0.0), ValueError, ["ratio of ScaleInvariant", "> 0"]),
    ],
)
def test_bad_fields_are_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_fields_of_the_toys_can_be_swept():
    grid = {"root": [False, True], "x": [0.1, 0.2]}
    result = eos.sweep(eos.CurvedValley(), eos.GD(0.1), grid, w0={"y": 1.0}, num_steps=20, measure=("weights",))
    for root in grid["root"]:
        for x in grid["x"]:
            single = weights(eos.CurvedValley(root), [x, 1.0], eos.GD(0.1), 20)[-1]
            np.testing.assert_array_equal(result.weights.sel(root=str(root), x=x), single)
    result = eos.sweep(
        eos.SelfStabilization(), eos.GD(0.1), {"slope": [0.0, 0.5], "beta": [1.0, 2.0]}, w0=[0.1, 1.0], num_steps=20
    )
    for slope in (0.0, 0.5):
        for beta in (1.0, 2.0):
            single = weights(eos.SelfStabilization(slope=slope, beta=beta), [0.1, 1.0], eos.GD(0.1), 20)[-1]
            np.testing.assert_array_equal(result.weights.sel(slope=slope, beta=beta), single)
