"""The field `loss` of models that offer several losses, beside the method of the same name.

``SingleNeuron(loss="sqrt")`` has a field and every model a method `loss`. One descriptor serves both: the value of the
field is a string that can be called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eosfast.arguments import Choice
from eosfast.models.base import Model

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike


class LossFunction(str):
    """The value of a model's field `loss`: the name of the loss, ``model.loss == "sqrt"``, and the function itself,
    ``model.loss(w)``.

    Parameters
    ----------
    w : array_like, shape (dim,)

    Returns
    -------
    float
        The loss at `w`; NaN where `w` holds NaN.

    Raises
    ------
    ValueError
        `w` has the wrong shape.
    """

    model: Model | None

    def __new__(cls, name: str, model: Model | None = None) -> Self:
        """Bind the name to a model."""
        self = super().__new__(cls, name)
        self.model = model
        return self

    def __call__(self, w: ArrayLike) -> float:
        """Return the loss at `w`."""
        if self.model is None:
            raise TypeError("loss is a function of a model, such as SingleNeuron().loss(w), not of its class")
        return Model.loss(self.model, w)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class LossField:
    """A dataclass field `loss` that holds the name of a loss and keeps the method `loss(w)`.

    Parameters
    ----------
    default : str
        The loss of a model that names none.
    names : tuple of str
        The losses that there are.
    """

    def __init__(self, default: str, names: tuple[str, ...]) -> None:
        self.default = default
        self.kind = Choice(names)

    def __set_name__(self, owner: type, name: str) -> None:
        self.label = f"{name} of {owner.__name__}"

    def __get__(self, model: Model | None, owner: type | None = None) -> LossFunction:
        return LossFunction(self.default if model is None else model.__dict__["loss"], model)

    def __set__(self, model: Model, name: str) -> None:
        model.__dict__["loss"] = self.kind.check(self.label, name)
