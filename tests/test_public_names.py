"""The public names: all documented in the same way, light to import, and the same list in Python and C++."""

import dataclasses
import doctest
import inspect
import pkgutil
from importlib import import_module
from itertools import pairwise

import pytest

import eosfast as eos
from eosfast._dispatch import core

PUBLIC = [name for name in eos.__all__ if not name.startswith("_")]
CALLABLE = [name for name in PUBLIC if callable(getattr(eos, name))]


def members():
    """Public functions, classes and the public methods and properties of the classes, each with its name."""
    for name in CALLABLE:
        thing = getattr(eos, name)
        yield name, thing
        if inspect.isclass(thing):
            for member, _ in inspect.getmembers_static(thing):
                inherited = any(member in vars(base) for base in thing.__mro__ if base.__module__.startswith("eosfast"))
                if inherited and not member.startswith("_"):
                    yield f"{name}.{member}", getattr(thing, member)
    for name in eos.datasets.__all__:
        yield f"datasets.{name}", getattr(eos.datasets, name)


MEMBERS = dict(members())


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_exists_and_has_a_docstring(name):
    assert name in dir(eos)
    thing = getattr(eos, name)
    if name != "isa":
        assert inspect.getdoc(thing)


@pytest.mark.parametrize("name", [name for name, thing in MEMBERS.items() if callable(thing)])
def test_docstrings_have_their_sections(name):
    thing = MEMBERS[name]
    text = inspect.getdoc(thing)
    assert text, f"{name} has no docstring"
    sections = {line for line, rule in pairwise(text.splitlines()) if set(rule) == {"-"}}
    parameters = [p for p in inspect.signature(thing).parameters if p not in ("self", "args", "kwargs")]
    if inspect.isclass(thing):
        fields = [field.name for field in dataclasses.fields(thing) if field.init]
        assert "Parameters" in sections
        documented = text.split("Parameters\n----------")[1]
        assert all(f"\n{field} : " in documented for field in fields), f"{name} does not document all of {fields}"
        return
    if parameters:
        assert "Parameters" in sections, f"{name} does not document its parameters"
        documented = text.split("Parameters\n----------")[1].split("\n\nReturns")[0]
        assert all(parameter in documented for parameter in parameters), f"{name} does not document all of {parameters}"
    assert "Returns" in sections or text.startswith("Return "), f"{name} does not say what it returns"


PUBLIC_MODELS = {
    name: value
    for name, value in vars(eos.models).items()
    if isinstance(value, type) and issubclass(value, eos.models.Model) and value is not eos.models.Model
}


@pytest.mark.parametrize("name", PUBLIC_MODELS)
def test_models_name_their_source(name):
    text = inspect.getdoc(getattr(eos, name))
    assert "References\n----------" in text
    assert "arXiv" in text
    assert inspect.getdoc(getattr(eos, name).init) != inspect.getdoc(eos.models.Model.init)


def test_the_models_of_python_and_of_the_core_are_the_same():
    small = {name for name, cls in PUBLIC_MODELS.items() if not issubclass(cls, eos.models.large.LargeModel)}
    assert small | {"QuadraticRegression"} == set(core.registry()["models"])
    assert set(PUBLIC_MODELS) < set(eos.__all__)
    assert set(PUBLIC_MODELS) < set(eos.models.__all__)
    for cls in PUBLIC_MODELS.values():
        fields = [field.name for field in dataclasses.fields(cls)]
        lanes = () if issubclass(cls, eos.models.large.LargeModel) else core.registry()["models"][cls.__name__]
        assert set(lanes) <= set(fields)
        assert set(cls.structural) <= set(fields)
        assert set(cls.init_fields) <= set(lanes)
        assert not set(cls.structural) & set(lanes)


def test_the_optimizers_of_python_and_of_the_core_are_the_same():
    optimizers = {cls.__name__: cls for cls in eos.optimizers.Optimizer.__subclasses__()}
    assert set(optimizers) == set(core.registry()["optimizers"])
    assert set(optimizers) < set(eos.__all__)
    for name, cls in optimizers.items():
        assert [field.name for field in dataclasses.fields(cls)] == core.registry()["optimizers"][name]


def test_every_registered_model_has_a_definition_and_an_example():
    from reference import DEFINITIONS, EXAMPLES

    assert set(DEFINITIONS) == set(core.registry()["models"]) == {type(model).__name__ for model in EXAMPLES}


def test_names_that_do_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        eos.trian  # noqa: B018


def test_build_info_says_what_runs_where():
    info = eos.build_info()
    assert info["isa"] == eos.isa
    assert info["version"] == eos.__version__
    assert info["available_threads"] >= 1
    assert {"python", "numpy", "compiler", "flags", "eigen"} <= set(info)


MODULES = [module.name for module in pkgutil.walk_packages(eos.__path__, "eosfast.") if "._" not in module.name]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(import_module(name)).failed == 0
