"""A few random inputs of each kind (fuzz.py has more), and the reader of specifications on what hypothesis invents."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from eosfast.specification import SpecificationError, read
from fuzz import TARGETS, fuzz


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_the_promised_errors(target, tmp_path):
    assert fuzz(target, tmp_path, 0, count=300) == 300


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_the_promised_errors_for_long(target, tmp_path):
    fuzz(target, tmp_path, 1, seconds=20)


def toml(value):
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(key)} = {toml(item)}' for key, item in value.items())}}}"
    return str(value)


def quoted(text):
    return '"' + "".join(f"\\U{ord(one):08x}" for one in text) + '"'


words = st.sampled_from(
    ["type", "name", "lr", "x", "y", "linspace", "range", "zip", "model", "loss", "data", "SingleNeuron"]
)
text = words | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
values = st.recursive(
    st.booleans() | st.integers(-(10**20), 1000) | st.floats() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
whole = {
    "num_steps": 3,
    "model": {"type": "SingleNeuron"},
    "optimizer": {"type": "GD", "lr": 0.1},
    "grid": {"y": [2, 3]},
}


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from([*whole, "measure", "w0", "stop", "seed"]), values, max_size=3))
def test_any_structure_is_read_or_refused(changes, tmp_path):
    file = tmp_path / "spec.toml"
    file.write_text("\n".join(f"{key} = {toml(value)}" for key, value in (whole | changes).items()), encoding="utf-8")
    try:
        job = read(file)
    except SpecificationError:
        assert changes
    else:
        assert job.num_runs >= 1
