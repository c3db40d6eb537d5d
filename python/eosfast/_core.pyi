"""Types of the compiled core, whichever variant `_dispatch` chose; there is no module `_core`, only `_core_<isa>`.

Arrays are float64 and C-contiguous unless said otherwise. The Python layer has validated every argument before it
calls: the core only asserts. Status codes: completed 0, converged 1, diverged 2, steady 3, interrupted 4, pending 5.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]
Poll: TypeAlias = Callable[[int], object]

@final
class PreparedModel:
    """A capsule: a model with its data prepared (sorted, summed) for the core. Opaque, never pickled."""

class PreparedRowSpace:
    """A capsule: an orthonormal basis of the rows of a matrix."""

def build_info() -> dict[str, str | int | bool]:
    """Version, variant, compiler, flags, Eigen, OpenMP, assertions, lanes of the loaded core."""

def registry() -> dict[str, dict[str, list[str]]]:
    """`models` and `optimizers`: their names, each with the fields that may differ from lane to lane of one call."""

def row_space(X: Array, num_threads: int) -> PreparedRowSpace: ...
def inside(space: PreparedRowSpace, W: Array, num_threads: int) -> Array: ...
def outside(space: PreparedRowSpace, C: Array, num_threads: int) -> Array: ...
def model(name: str, config: Mapping[str, Any]) -> PreparedModel: ...
def loss(model: PreparedModel, w: Array) -> float: ...
def grad(model: PreparedModel, w: Array) -> Array: ...
def dim(model: PreparedModel) -> int: ...
def hessian(model: PreparedModel, w: Array) -> Array: ...
def hvp(model: PreparedModel, w: Array, V: Array) -> Array:
    """Hessian times each row of V `(k, dim)`."""

def num_outputs(model: PreparedModel) -> int: ...
def residual(model: PreparedModel, w: Array) -> Array: ...
def jvp(model: PreparedModel, w: Array, V: Array) -> Array:
    """Jacobian of the outputs times each row of V `(k, dim)`."""

def vjp(model: PreparedModel, w: Array, U: Array) -> Array:
    """Transposed Jacobian times each row of U `(k, num_outputs)`."""

def curvature(model: PreparedModel, w: Array, u: Array, V: Array) -> Array:
    """``sum_a u_a Hess f_a`` times each row of V `(k, dim)`."""

def sharpness(
    model: PreparedModel, w: Array, k: int, tol: float, seed: int
) -> tuple[Array, Array, Array, NDArray[np.bool_], int]:
    """The k largest eigenvalues, descending, their vectors `(dim, k)`, residual norms, converged flags, products
    spent.
    """

def accuracy(model: PreparedModel, w: Array, X: Array | None, y: Array | None) -> float:
    """Share of correct signs on `X`, `y` (not of networks), or on the model's own data where they are None."""

def outputs(model: PreparedModel, w: Array, n: int) -> Array:
    """Of networks: f, shape (n, c)."""

def layer_inputs(model: PreparedModel, w: Array, n: int) -> list[Array]:
    """Of networks: what goes into each layer, (n, in)."""

def layer_slopes(model: PreparedModel, w: Array, output: int, n: int) -> list[Array]:
    """Of networks: the derivatives of one output with respect to what comes out of each layer, (n, out)."""

def train(
    model: PreparedModel,
    optimizer: str,
    optimizer_fields: Array,
    w0: Array,
    null_norm: float,
    num_steps: int,
    steps: int | Indices,
    out: Mapping[str, NDArray[Any]],
    own: Sequence[str],
    stop: Mapping[str, float | bool],
    solve: Mapping[str, int | float],
    time_per_step: float,
    num_threads: int,
    poll: Poll | None,
    checkpoint: tuple[Callable[[bytes, dict[str, int]], float], float, bytes, int] | None,
) -> dict[str, int]:
    """One run, recorded into `out` every `steps` (an int) or at `steps` (an array).

    `own` are the keys of `out` that are the model's own quantities; `solve` says how eigenvalues are found: `every` so
    many steps (0 = at every record), `tol`, `seed`. `time_per_step` is that of the gradient flow that is followed for
    the distance to it. `null_norm`: length of the part of the start that `w0` leaves out.
    `checkpoint`: whom to tell the state now and then, with what is returned at the end (it returns how many seconds to
    wait until the next time), how many seconds to wait at first, the state to go on from (empty: the start), and how
    many rows of `out` there are. At the end of the run the state is empty.
    Returns `status`, `num_steps_done`, `rows`, `steady_from` (-1 = not steady), `steady_period` (0 = not steady).
    """

def gradient_flow(
    model: PreparedModel,
    starts: Array,
    null_norms: Array,
    times: Array,
    options: Mapping[str, float | int],
    out: Mapping[str, NDArray[Any]],
    own: Sequence[str],
    solve: Mapping[str, int | float],
    num_threads: int,
    poll: Poll | None,
) -> bool:
    """Trajectories of the gradient flow from each row of `starts`, recorded into `out`, whose arrays begin with the
    axes (run, time); returns if Ctrl-C was heard.

    `options`: `rtol`, `atol`, `max_steps`. `out` also holds `status` (int8: completed 0, budget 1, stalled 2, diverged
    3, interrupted 4, pending 5), `rows` and `num_steps` of each run; rows that are not reached stay as they are.
    """

def sweep(
    models: Sequence[PreparedModel],
    model_index: Indices | None,
    optimizer: str,
    shape: tuple[int, ...],
    columns: Sequence[Array],
    start: Array | None,
    null_norm: Array | None,
    num_steps: int,
    reducers: Sequence[tuple[str, str, float]],
    out: Mapping[str, NDArray[Any]],
    own: Sequence[str],
    stop: Mapping[str, float | bool],
    seed: int,
    num_threads: int,
    poll: Poll | None,
) -> tuple[int, bool]:
    """Many independent runs, one for each element of `shape`; returns how many finished, and if Ctrl-C was heard.

    `columns` are optimizer fields, model fields and weights, each of that shape; networks have their weights in
    `start`, with an axis more, instead.
    """

def activation(name: str, linear: float, gain: float, h: float, x: Array) -> tuple[Array, Array, Array]:
    """Values, first and second derivatives of ``linear u + gain base(u)`` at `x`, each of its shape."""

def lanczos(
    matvec: Callable[[Array], Array], dim: int, k: int, v0: Array | None, tol: float, max_matvecs: int, seed: int
) -> tuple[Array, Array, Array, NDArray[np.bool_], int]:
    """The k largest eigenvalues, their vectors `(dim, k)`, residual norms, converged flags, and products spent.

    `matvec` takes and returns `(dim, j)` arrays, in either order of memory.
    """

def track(
    matvecs: Iterable[Callable[[Array], Array]], dim: int, k: int, tol: float, seed: int
) -> list[tuple[Array, Array, Array, NDArray[np.bool_], int]]:
    """What `lanczos` returns for each operator of a trajectory, by warm starts."""

def math(name: str, x: Array, lanes: bool) -> Array:
    """A lane function, elementwise: on lanes, or one number at a time (the same bits)."""

def math_names() -> list[str]: ...
