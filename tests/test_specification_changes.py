"""Changes of a specification from the command line, ``--set KEY=VALUE``."""

from __future__ import annotations

import pytest

from eosfast.specification import SpecificationError, read

NEURON = """
num_steps = 300
model = {type = "SingleNeuron"}
optimizer = {type = "GD"}
w0 = {x = 0.3}
[grid]
lr = {geomspace = [1e-3, 1e-1, 4]}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "spec.toml").write_text(NEURON, encoding="utf-8")
    return tmp_path / "spec.toml"


def test_changes(file):
    changes = ["num_steps=7", "grid.lr=[0.5]", "model.loss = huber", "w0={x = 1, y = 2}", "grid.zip.run.seed=[1, 2]"]
    job = read(file, changes)
    assert (job.num_steps, job.shape, job.model.loss) == (7, (1, 2), "huber")
    assert job.space.dims == ("lr", "run")


def test_quoted_keys(file):
    """Names with a dot may be quoted, as in the file."""
    file.write_text(NEURON + 'y = [1, 2, 3]\n[grid.zip.run]\n"model.beta" = [2.0, 3.0]\n')
    job = read(file, ['grid.zip.run."model.beta"=[2.0, 3.5, 4.0]', "'num_steps'=7"])
    assert (job.num_steps, job.shape) == (7, (4, 3, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("num_steps", "--set must be KEY=VALUE"),
        ("=3", "--set must be KEY=VALUE"),
        ("grid..lr=3", "--set must be KEY=VALUE"),
        ("num steps=3", "--set must be KEY=VALUE"),
        ("[grid]\nlr=3", "--set must be KEY=VALUE"),
        ("grid.lr=[1", "--set grid.lr: the value must be TOML"),
        ("grid.lr=", "--set grid.lr: the value must be TOML"),
        ("num_steps=3\nseed=4", "--set num_steps: the value must be TOML"),
        ("model.type.x=3", "--set model.type.x: 'type' is no table"),
        ("sed=4", "unknown key 'sed': .*did you mean 'seed'"),
        ("w0.x=abc", "must hold real numbers, got 'abc'"),
        (f"num_steps={2**64}", "num_steps must be an int from 0 to 9007199254740992, got"),
    ],
)
def test_wrong_changes(change, message, file):
    with pytest.raises(SpecificationError, match=message):
        read(file, ["grid.y=[1.0]", change])


def test_a_byte_order_mark_is_no_part_of_the_file(file):
    file.write_text(NEURON, encoding="utf-8-sig", newline="\r\n")
    assert read(file, ["grid.y=[1.0]"]).shape == (4, 1)
