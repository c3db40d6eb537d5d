"""Second-order regression: values against plain NumPy, the closed recursion in (z, J), the map of one datum, sweeps."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import eosfast as eos
from eosfast import QuadraticRegression
from reference import definition, step

SHAPES = [(1, 1), (1, 9), (2, 3), (7, 8), (8, 17), (9, 16), (60, 31)]
FREE = eos.Stop(diverged=np.inf, steady=False)


def arrays(D, P, seed=0, diagonal=False):
    rng = np.random.default_rng(seed)
    Q = rng.standard_normal((D, P, P))
    Q = Q * np.eye(P) if diagonal else (Q + Q.transpose(0, 2, 1)) / 2
    return Q, rng.standard_normal(D), rng.standard_normal((D, P))


def model_of(D, P, seed=0, diagonal=False):
    return QuadraticRegression(*arrays(D, P, seed, diagonal))


def weights(model, seed=1):
    return np.random.default_rng(seed).standard_normal(model.dim)


def over_shapes(test):
    marked = pytest.mark.parametrize("diagonal", [False, True], ids=["dense", "diagonal"])(test)
    return pytest.mark.parametrize(("D", "P"), SHAPES)(marked)


def close(a, b, rtol=1e-12):
    scale = np.abs(b).max()
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale)


# --------------------------------------------------------------------------------------------------------------- values


@over_shapes
def test_values_are_those_of_the_definition(D, P, diagonal):
    Q, y, G = arrays(D, P, diagonal=diagonal)
    model = QuadraticRegression(Q, y, G)
    w, reference = weights(model), definition(model)
    z, J = y + G @ w + np.einsum("aij,i,j->a", Q, w, w) / 2, G + Q @ w
    close(model.loss(w), reference.loss(w))
    close(model.grad(w), reference.grad(w))
    close(model.hessian(w), J.T @ J + np.tensordot(z, Q, 1))
    close(model.residual(w), z)
    close(model.jacobian(w), J)
    close(model.ntk(w), J @ J.T)


@over_shapes
def test_products(D, P, diagonal):
    model = model_of(D, P, diagonal=diagonal)
    w, rng = weights(model), np.random.default_rng(2)
    V, u = rng.standard_normal((P, 5)), rng.standard_normal(D)
    H = model.hessian(w)
    np.testing.assert_array_equal(H, H.T)
    close(model.hvp(w, V), H @ V)
    close(model.hvp(w, V[:, 0]), H @ V[:, 0])
    close(model.ntk_operator(w) @ u, model.jacobian(w) @ (model.jacobian(w).T @ u))
    close(model.curvature_operator(w, u) @ V, np.tensordot(u, model.Q, 1) @ V)
    a, b = V[:, 0], V[:, 1]
    assert a @ model.hvp(w, b) == pytest.approx(b @ model.hvp(w, a), rel=1e-11, abs=1e-11 * np.abs(H).max())


@over_shapes
def test_gradient_and_hessian_are_derivatives(D, P, diagonal):
    model = model_of(D, P, diagonal=diagonal)
    w, h = weights(model), 1e-5
    directions = h * np.eye(P)
    close(model.grad(w), [(model.loss(w + e) - model.loss(w - e)) / (2 * h) for e in directions], 1e-7)
    close(model.hessian(w), [(model.grad(w + e) - model.grad(w - e)) / (2 * h) for e in directions], 1e-7)


def test_a_product_belongs_to_its_point():
    """What is contracted once at a point is not used at another."""
    model = model_of(5, 12)
    run = eos.train(
        model, 0.1 * weights(model), eos.GD(1e-3), num_steps=3, record=eos.Record(1, ("weights", "sharpness"))
    )
    for w, sharpness in zip(run.weights.values, run.sharpness.values, strict=True):
        assert sharpness == pytest.approx(np.linalg.eigvalsh(definition(model).hessian(w))[-1], rel=1e-3)
    assert len(set(run.sharpness.values)) == 4


def test_a_diagonal_q_is_the_dense_one():
    """A perturbation that is lost in rounding selects the dense form."""
    Q, y, G = arrays(6, 20, diagonal=True)
    almost = Q.copy()
    almost[0, 3, 4] = almost[0, 4, 3] = 1e-300
    one, other = QuadraticRegression(Q, y, G), QuadraticRegression(almost, y, G)
    w = weights(one)
    close(one.grad(w), other.grad(w), 1e-14)
    close(one.hessian(w), other.hessian(w), 1e-14)
    np.testing.assert_array_equal(one.Q, Q)
    assert one != other


def test_nan_in_nan_out():
    for model in (model_of(3, 10), model_of(3, 10, diagonal=True), QuadraticRegression.diagonal([1.0, 2.0])):
        w = np.full(model.dim, 0.5)
        w[1] = np.nan
        assert np.isnan(model.loss(w))
        assert np.isnan(model.grad(w)).all()
        assert np.isnan(model.sharpness(w).values).all()


# ---------------------------------------------------------------------------------------------------------- runs


@given(seed=st.integers(0, 10**6), D=st.integers(1, 12), P=st.integers(1, 12), lr=st.floats(0.01, 0.5))
@settings(max_examples=40)
def test_steps_are_the_closed_recursion_in_z_and_j(seed, D, P, lr):
    """z' = z - lr J g + lr^2 Q(g, g)/2, J' = J - lr Q(g, .), with g = J'z: an identity of gradient descent."""
    model = QuadraticRegression.random(D, P, 0.3 / np.sqrt(D * P), 0.5 / np.sqrt(D + P), seed=seed)
    run = eos.train(model, None, eos.GD(lr), num_steps=12, record=eos.Record(1, ("weights",)), stop=FREE)
    z, J = model.y, model.G
    for w in run.weights.values:
        np.testing.assert_allclose(model.residual(w), z, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(model.jacobian(w), J, rtol=1e-11, atol=1e-13)
        g = J.T @ z
        B = model.Q @ g
        z, J = z - lr * J @ g + lr**2 / 2 * B @ g, J - lr * B


@pytest.mark.parametrize("optimizer", [eos.GD(0.3), eos.HeavyBall(0.2, 0.5), eos.Nesterov(0.2, 0.5)], ids=repr)
def test_the_size_of_the_paper(optimizer):
    model = QuadraticRegression.random(60, 120, sigma_z=0.3 / np.sqrt(7200), sigma_J=0.03, seed=3)
    run = eos.train(model, None, optimizer, num_steps=5, record=eos.Record(1, ("weights", "sharpness", "loss")))
    w, v = np.zeros(120), np.zeros(120)
    for at, sharpness in zip(run.weights.values, run.sharpness.values, strict=True):
        np.testing.assert_allclose(at, w, rtol=1e-10, atol=1e-14)
        assert sharpness == pytest.approx(np.linalg.eigvalsh(definition(model).hessian(w))[-1], rel=1e-3)
        w, v = step(optimizer, definition(model).grad, w, v)


def test_bits_do_not_depend_on_threads():
    model = QuadraticRegression.random(33, 64, sigma_z=0.01, sigma_J=0.05, seed=5)
    record = eos.Record(1, ("weights", "sharpness"))
    one, two, three = (
        eos.train(model, None, eos.GD(1.0), num_steps=30, num_threads=threads, record=record) for threads in (1, 2, 3)
    )
    for other in (two, three):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.sharpness, other.sharpness)


@pytest.mark.parametrize(("eps", "limit"), [(0.001, 1.99949916), (0.005, 1.99747876), (0.02, 1.98965258)])
def test_one_datum_ends_below_the_edge(eps, limit):
    """Gradient descent on eigenvalues 1, -eps from (z, T) = (-1, 0.3) ends at lr T = 2 - eps/2 + O(eps^2) (Agarwala et
    al., Section 2); the limits were computed here from the two-parameter map, in NumPy.
    """
    z, T = -1.0, 0.3
    w0 = [np.sqrt((T + 2 * eps * z) / (1 + eps)), np.sqrt((T - 2 * z) / (eps * (1 + eps)))]
    model = QuadraticRegression.diagonal([1.0, -eps])
    assert model.residual(w0) == pytest.approx(z)
    assert model.ntk(w0)[0, 0] == pytest.approx(T)
    run = eos.train(model, w0, eos.GD(1.0), num_steps=400_000, record=eos.Record(10_000, ("sharpness", "weights")))
    end = run.weights.values[-1]
    assert abs(model.ntk(end)[0, 0] - limit) < 2e-7
    assert run.sharpness.values[-1] == pytest.approx(limit, abs=2e-7)


def test_diagonal_networks():
    data = eos.datasets.teacher(20, 6, 3, 1)
    model = QuadraticRegression.diagonal_network(data)
    X, y, n, lr = data.X, data.y, data.n, 0.1
    w0 = 0.1 + 0.05 * weights(model)
    u, v = w0[:6], w0[6:]
    run = eos.train(model, w0, eos.GD(lr), num_steps=40, record=eos.Record(1, ("weights", "loss")))
    for w, loss in zip(run.weights.values, run.loss.values, strict=True):
        np.testing.assert_allclose(w, np.concatenate([u, v]), rtol=1e-11)
        r = X @ (u**2 - v**2) - y
        assert loss == pytest.approx(r @ r / (2 * n), rel=1e-11)
        pull = X.T @ r / n
        u, v = u - lr * 2 * u * pull, v + lr * 2 * v * pull
    assert run.loss.values[-1] < run.loss.values[0] / 2
    assert model.Q.shape == (20, 12, 12)


# ---------------------------------------------------------------------------------------------------------------- lanes


def on_one_datum(seed, P):
    rng = np.random.default_rng(seed)
    return QuadraticRegression([np.diag(rng.uniform(-1, 1, P))], rng.uniform(-1, 1, 1), rng.uniform(-1, 1, (1, P)))


@pytest.mark.parametrize("P", [1, 2, 3, 8])
def test_lanes_take_the_steps_of_the_other_engine(P):
    """Beside an output that is always 0, a datum runs in the other engine."""
    model = on_one_datum(0, P)
    padded = QuadraticRegression(
        np.concatenate([model.Q, 0 * model.Q]), [*model.y, 0.0], np.concatenate([model.G, 0 * model.G])
    )
    assert model.in_lanes
    assert not padded.in_lanes
    w, v, u = weights(model), weights(model, 2), np.array([1.5, 0.0])
    for ours, its in [
        (model.loss(w), padded.loss(w)),
        (model.grad(w), padded.grad(w)),
        (model.hvp(w, v), padded.hvp(w, v)),
    ]:
        np.testing.assert_allclose(ours, its, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(model.curvature_operator(w, u[:1]) @ v, padded.curvature_operator(w, u) @ v, rtol=1e-14)
    record = eos.Record(1, ("weights", "loss", "sharpness"))
    for optimizer in (eos.GD(0.2), eos.Nesterov(0.1, 0.5)):
        one, other = (eos.train(each, w, optimizer, num_steps=40, record=record) for each in (model, padded))
        for name in record.quantities:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-3 if name == "sharpness" else 1e-9, atol=1e-12)


@pytest.mark.parametrize("P", [1, 2, 8])
@pytest.mark.parametrize("optimizer", [eos.GD(0.1), eos.GD(0.1, weight_decay=0.2)], ids=repr)
def test_quantities_of_the_tangent_kernel_of_one_datum(P, optimizer):
    """The kernel is one number, |J|^2, its eigenvector 1: z1 is the residual, and Q_1 is Q."""
    model = on_one_datum(3, P)
    names = ("ntk_sharpness", "ntk_eigs", "residual", "z1", "q1_max", "q1_min")
    w0 = weights(model)
    run = eos.train(model, w0, optimizer, num_steps=5, record=eos.Record(1, (*names, "weights")))
    assert run.residual.dims == ("step", "residual_dim")
    assert run.ntk_eigs.dims == ("step", "eig")
    q = np.diag(model.Q[0])
    for t, w in enumerate(run.weights.values):
        kernel = np.sum((model.G[0] + q * w) ** 2)
        z = model.y + model.G[0] @ w + q @ w**2 / 2
        row = [run[name].values[t] for name in names]
        np.testing.assert_allclose(np.ravel(row[0]), kernel, rtol=1e-13)
        np.testing.assert_allclose(row[1], [kernel], rtol=1e-13)
        np.testing.assert_allclose(row[2], z, rtol=1e-12)
        np.testing.assert_allclose(row[3], z[0], rtol=1e-12)
        np.testing.assert_array_equal(row[4:], [q.max(), q.min()])
    numbers = [name for name in names if name not in ("residual", "ntk_eigs")]
    swept = eos.sweep(model, optimizer, {"lr": [0.3, 0.1]}, w0=w0, num_steps=5, measure=numbers)
    for name in numbers:
        assert swept[name].values[1] == run[name].values[-1]


def compare_with_train(swept, models, lr, w0, num_steps):
    record = eos.Record(num_steps, ("loss", "weights", "sharpness"))
    for i, model in enumerate(models):
        run = eos.train(model, w0, eos.GD(lr), num_steps=num_steps, record=record)
        assert swept.loss.values[i] == run.loss.values[-1]
        np.testing.assert_array_equal(swept.weights.values[i], run.weights.values[-1])
        if model.in_lanes:
            assert swept.sharpness.values[i] == run.sharpness.values[-1]


@pytest.mark.parametrize("P", [1, 2, 3, 8])
def test_a_sweep_over_models_has_the_bits_of_train(P):
    models = [on_one_datum(seed, P) for seed in range(19)]
    w0 = weights(models[0])
    swept = eos.sweep(models[0], eos.GD(0.3), {"model": models}, w0=w0, num_steps=300)
    compare_with_train(swept, models, 0.3, w0, 300)


def test_a_sweep_over_arrays():
    Q = [np.diag([1.0, -eps])[None] for eps in (0.01, 0.1, 0.2)]
    y = [np.array([z]) for z in (-1.0, -0.5)]
    G = [np.array([[a, b]]) for a, b in [(0.5, 0.1), (0.2, 0.3), (0.0, 0.5)]]
    model = QuadraticRegression.diagonal([1.0, 1.0])
    swept = eos.sweep(model, eos.GD(1.0), {"Q": ("run", Q), "y": y, "G": ("run", G)}, num_steps=200)
    assert dict(swept.sizes) == {"run": 3, "y": 2, "parameter": 2}
    for j in range(2):
        models = [QuadraticRegression(Q[i], y[j], G[i]) for i in range(3)]
        compare_with_train(swept.isel(y=j), models, 1.0, None, 200)


def test_a_sweep_over_models_of_both_kinds():
    models = [
        QuadraticRegression.diagonal([1.0, -0.1]),
        model_of(1, 2),
        QuadraticRegression.diagonal([0.5, 0.2]),
        QuadraticRegression.random(3, 2, 0.1, 0.1),
    ]
    assert [model.in_lanes for model in models] == [True, False, True, False]
    for model in models[:2]:
        swept = eos.sweep(model, eos.GD(0.1), {"model": models}, w0=[0.3, 0.4], num_steps=50, num_threads=2)
        compare_with_train(swept, models, 0.1, [0.3, 0.4], 50)


def test_models_of_several_sizes_in_a_sweep():
    models = [on_one_datum(0, 2), on_one_datum(1, 3), model_of(2, 5), on_one_datum(2, 3)]
    swept = eos.sweep(models[0], eos.GD(0.1), {"model": models}, num_steps=50, measure=("loss",))
    for i, model in enumerate(models):
        assert swept.loss.values[i] == eos.train(model, None, eos.GD(0.1), num_steps=50).loss.values[-1]
    with pytest.raises(ValueError, match="measure must leave out 'weights'"):
        eos.sweep(models[0], eos.GD(0.1), {"model": models}, num_steps=1)


def test_the_seed_of_a_sweep_draws_the_model_anew():
    model = QuadraticRegression.random(4, 6, 0.1, 0.2, seed=9)
    swept = eos.sweep(model, eos.GD(0.1), {"seed": [3, 1, 9]}, num_steps=20)
    models = [QuadraticRegression.random(4, 6, 0.1, 0.2, seed=seed) for seed in (3, 1, 9)]
    assert model.with_seed(3) == models[0]
    compare_with_train(swept, models, 0.1, None, 20)
    assert len(set(swept.loss.values)) == 3
    assert model_of(4, 6).with_seed(3) == model_of(4, 6)


# ----------------------------------------------------------------------------------------------------------- the object


def test_the_law_of_random():
    model = QuadraticRegression.random(40, 50, sigma_z=0.1, sigma_J=0.2, sigma_Q=3.0, seed=1)
    assert model.y.std() == pytest.approx(0.1, rel=0.4)
    assert model.G.std() == pytest.approx(0.2, rel=0.05)
    np.testing.assert_array_equal(model.Q, model.Q.transpose(0, 2, 1))
    above = model.Q[:, *np.triu_indices(50, 1)]
    assert above.std() == pytest.approx(3.0, rel=0.02)
    assert abs(above.mean()) < 0.1
    assert np.einsum("aii->ai", model.Q).std() == pytest.approx(3.0, rel=0.1)
    np.testing.assert_array_equal(model.init(4), np.zeros(50))
    double = QuadraticRegression.random(40, 50, sigma_z=0.2, sigma_J=0.2, sigma_Q=3.0, seed=1)
    np.testing.assert_allclose(double.y, 2 * model.y)
    np.testing.assert_array_equal(double.Q, model.Q)


def test_one_datum_of_the_paper():
    model = QuadraticRegression.diagonal([1.0, -0.5], offset=0.6)
    assert model.Q.shape == (1, 2, 2)
    w = np.array([0.4, 2.0])
    assert model.residual(w) == pytest.approx([(0.4**2 - 0.5 * 4 - 0.6) / 2])
    assert model == QuadraticRegression([[[1.0, 0.0], [0.0, -0.5]]], [-0.3])


def test_values_of_the_object():
    Q, y, G = arrays(3, 4)
    model = QuadraticRegression(Q, y, G)
    Q[:] = 0.0
    assert model == model_of(3, 4)
    assert hash(model) == hash(model_of(3, 4))
    assert model != model_of(3, 4, seed=1)
    assert model != dataclasses.replace(model, y=model.y + 1)
    for each in (model, model_of(3, 4, diagonal=True), QuadraticRegression.random(2, 3, 0.1, 0.1)):
        again = pickle.loads(pickle.dumps(each))
        assert again == each
        assert repr(again) == repr(each)
        assert not any(array.flags.writeable for array in (again.Q, again.y, again.G))
    np.testing.assert_array_equal(QuadraticRegression(model.Q, y).G, np.zeros((3, 4)))
    assert len(repr(model_of(20, 30))) < 100
    assert model.parameters == {"w": (4,)}


BAD = [
    (([[1.0]], [1.0]), r"Q of QuadraticRegression must have shape \(D, P, P\), none of them 0, got \(1, 1\)"),
    ((np.ones((2, 3, 4)), [1.0, 1.0]), r"Q of QuadraticRegression must have shape \(D, P, P\), got \(2, 3, 4\)"),
    ((np.ones((0, 3, 3)), []), "none of them 0"),
    (
        ([[[1.0, 2.0], [2.5, 1.0]]], [1.0]),
        r"must be symmetric .* entries \(0, 0, 1\) and \(0, 1, 0\) that differ by 0.5",
    ),
    (([[[np.nan]]], [1.0]), "Q of QuadraticRegression must be finite"),
    (([[[1.0]]], [1.0, 2.0]), r"y of QuadraticRegression must have shape \(1,\)"),
    (([[[1.0]]], 1.0), r"y of QuadraticRegression must have shape \(D,\)"),
    (([[[1.0]]], [np.inf]), "y of QuadraticRegression must be finite"),
    (([[[1.0]]], [1.0], [1.0]), r"G of QuadraticRegression must have shape \(D, P\)"),
    (([[[1.0]]], [1.0], [[1.0, 2.0]]), r"G of QuadraticRegression must have shape \(1, 1\) to fit Q, got \(1, 2\)"),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_arrays(given, message):
    with pytest.raises(ValueError, match=message):
        QuadraticRegression(*given)


def test_bad_arguments():
    with pytest.raises(TypeError, match="Q of QuadraticRegression must hold real numbers"):
        QuadraticRegression("abc", [1.0])
    with pytest.raises(ValueError, match="sigma_J must be a finite number >= 0, got -1"):
        QuadraticRegression.random(2, 2, 1.0, -1.0)
    with pytest.raises(ValueError, match="P must be an int >= 1, got 0"):
        QuadraticRegression.random(2, 0, 1.0, 1.0)
    with pytest.raises(ValueError, match="offset must be a finite number"):
        QuadraticRegression.diagonal([1.0], offset=np.nan)
    with pytest.raises(ValueError, match=r"eigenvalues must have shape \(P,\)"):
        QuadraticRegression.diagonal([[1.0]])
    with pytest.raises(ValueError, match=r"y of shape \(n,\)"):
        QuadraticRegression.diagonal_network(eos.Dataset([[1.0]], [[1.0]]))
    with pytest.raises(TypeError, match="data must be a Dataset"):
        QuadraticRegression.diagonal_network([[1.0]])


def test_bad_arrays_in_a_grid():
    model = QuadraticRegression.diagonal([1.0, 2.0])
    with pytest.raises(ValueError, match=r"G of QuadraticRegression must have shape \(1, 2\), got \(1, 3\)"):
        eos.sweep(model, eos.GD(0.1), {"G": [np.ones((1, 2)), np.ones((1, 3))]}, num_steps=1)
    with pytest.raises(ValueError, match=r"grid\['Q'\]\[1\] must be symmetric"):
        eos.sweep(model, eos.GD(0.1), {"Q": [model.Q, [[[0, 1], [2, 0]]]]}, num_steps=1)
