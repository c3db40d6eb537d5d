"""Stores: what is in them at any time, what continues them, and what is refused."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray

import eosfast as eos
from stored_sweeps import files, in_small_blocks, same, small

pytest.importorskip("zarr")


@pytest.fixture(scope="module")
def reference():
    return small()


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    store = tmp_path_factory.mktemp("begun") / "sweep.zarr"
    in_small_blocks(store=store, shard=(0, 5), num_steps=50)
    return store


@pytest.fixture
def parts(begun, tmp_path):
    """A store of 54 blocks, 11 of them done."""
    return Path(shutil.copytree(begun, tmp_path / "sweep.zarr"))


def chunks(store, name):
    """Return the names of the chunks of a variable."""
    folder = store / name / "c"
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


# ------------------------------------------------------------------------------------------------------ what is in them


def test_a_store_holds_what_memory_would(tmp_path, reference):
    found = small(store=tmp_path / "sweep.zarr")
    same(found, reference)
    assert found.attrs["ended"] >= found.attrs["created"]
    assert found.attrs["host"]
    same(small(store=str(tmp_path / "sweep.zarr")), reference)


SWEEPS = {
    "labels": {
        "model": eos.SingleNeuron(),
        "optimizer": eos.GD(lr=0.1),
        "grid": {"model.loss": ["logcosh", "sqrt"], "seed": [3, 1, 2]},
        "num_steps": 20,
        "measure": ("loss", "period", "weights", "grad_norm"),
    },
    "zipped": {
        "model": eos.SingleNeuron(),
        "optimizer": eos.HeavyBall(momentum=0.5),
        "grid": {"lr": ("run", np.linspace(0.01, 0.2, 7)), "y": ("run", np.arange(7.0))},
        "w0": {"x": 0.3},
        "num_steps": 30,
        "measure": (eos.FirstBelow("loss", 1.0), eos.Mean("loss", last=5), "last_loss_increase"),
    },
    "network": {
        "model": eos.LinearNetwork(widths=(2, 3, 2), target=np.eye(2)),
        "optimizer": eos.GD(),
        "grid": {"lr": [0.01, 0.05, 3.0], "seed": [0, 1]},
        "num_steps": 25,
        "measure": ("loss", "sharpness", "weights"),
    },
}


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("seconds", [1.0, 1e-9])
def test_sweeps_of_all_kinds(name, seconds, tmp_path, monkeypatch):
    monkeypatch.setattr("eosfast.blocks.SECONDS", seconds)
    what = SWEEPS[name]
    found = eos.sweep(**what, store=tmp_path / "sweep.zarr")
    same(found, eos.sweep(**what))
    assert (len(chunks(tmp_path / "sweep.zarr", "status")) == 1) == (seconds == 1.0)


READER = """
import sys
sys.modules["eosfast"] = None  # an import of it would raise
import warnings; warnings.simplefilter("error")
import numpy, xarray
for store in sys.argv[1:]:
    found = xarray.open_zarr(store).load()
    assert found.identical(xarray.open_zarr(store, consolidated=False, chunks=None).load())
    done = found.status.values != 5
    print(int(done.sum()), found.status.dtype, found.loss_increases.dtype, *found.parameter.values, *found.loss.dims)
    assert numpy.isnan(found.loss.values[~done]).all() and numpy.isnan(found.weights.values[~done]).all()
    assert (found.loss_increases.values[~done] == -1).all() and (found.num_steps_done.values[~done] == 0).all()
    assert numpy.isfinite(found.loss.values[done]).any()
    assert "pending" in found.status.flag_meanings
"""


def test_it_opens_without_eosfast_at_any_time(parts, reference):
    whole = shutil.copytree(parts, parts.with_name("whole"))
    same(small(store=whole), reference)
    out = subprocess.run([sys.executable, "-c", READER, parts, whole], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    begun, finished = map(str.split, out.stdout.splitlines())
    assert begun[1:] == finished[1:] == ["int8", "int64", "x", "y", "lr", "y"]
    assert int(begun[0]) == 7 * 8 + 4 * 6  # the last of three blocks of a row has 6 runs
    assert int(finished[0]) == 18 * 22


def test_attributes(parts):
    found = xarray.open_zarr(parts)
    config = json.loads(found.attrs["config"])
    assert config["model"]["type"] == "SingleNeuron"
    assert config["num_steps"] == 50
    assert config["grid"]["y"]["values"] == np.linspace(5.0, 20.0, 22).tolist()
    assert config["seed"] == found.attrs["seed"] == 0
    assert found.attrs["status"] == "pending"
    assert "ended" not in found.attrs
    assert {"eosfast_version", "isa", "host", "created"} <= set(found.attrs)
    assert found.attrs["numpy_version"] == np.__version__
    assert found.attrs["python_version"] == platform.python_version()


def test_blocks_are_whole_chunks_of_every_variable(parts):
    done = chunks(parts, "status")
    assert len(done) == 11
    small(store=parts)
    everything = chunks(parts, "status")
    assert len(everything) == 54
    for name in ("loss", "sharpness", "loss_increases", "num_steps_done", "mean_sharpness"):
        assert chunks(parts, name) == everything
    assert chunks(parts, "weights") == [f"{one}/0" for one in everything]


# ----------------------------------------------------------------------------------------------------------- continuing


def test_what_is_done_is_not_done_again(parts, reference):
    before = files(parts)
    same(small(store=parts), reference)
    after = files(parts)
    done = {name for name in before if "/c/" in name}
    assert {name: after[name] for name in done} == {name: before[name] for name in done}
    small(store=parts)
    assert files(parts) == after


def test_going_on_costs_less_than_the_work(tmp_path):
    began = time.perf_counter()
    in_small_blocks(store=tmp_path / "sweep.zarr")
    first = time.perf_counter() - began
    began = time.perf_counter()
    in_small_blocks(store=tmp_path / "sweep.zarr")
    assert time.perf_counter() - began < first / 2


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGE = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2),
    "too long": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    "flipped bit": flip,
    "zeros": lambda file: file.write_bytes(b"\0" * file.stat().st_size),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("variable", ["loss", "weights", "status"])
def test_a_damaged_chunk_is_computed_again(damage, variable, parts, reference):
    small(store=parts)
    whole = files(parts)
    file = max(one for one in (parts / variable / "c").rglob("*") if one.is_file())  # a block at the edge
    DAMAGE[damage](file)
    if damage not in ("missing", "empty"):
        with pytest.raises(ValueError):  # nobody reads wrong numbers
            xarray.open_zarr(parts, chunks=None)[variable].load()
    same(small(store=parts), reference)
    place = str(file.relative_to(parts / variable / "c"))
    place = place.removesuffix("/0") if variable == "weights" else place
    now = files(parts)
    again = {name for name in whole if now[name][:2] != whole[name][:2]}
    assert again <= {f"{one}/c/{place}{end}" for one in reference.data_vars for end in ("", "/0")}
    assert len(again) == len(reference.data_vars)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.parametrize("coordinate", ["lr", "parameter"])
def test_a_damaged_coordinate_is_written_again(coordinate, damage, parts):
    (chunk,) = (one for one in (parts / coordinate / "c").rglob("*") if one.is_file())
    content = chunk.read_bytes()
    if damage == "remove":
        chunk.unlink()
    else:
        half = len(content) // 2
        chunk.write_bytes(
            content[:half] + (b"" if damage == "cut" else bytes([content[half] ^ 1]) + content[half + 1 :])
        )
        with pytest.raises((ValueError, RuntimeError)):
            xarray.open_zarr(parts, chunks=None).load()
    small(store=parts, shard=(0, 5))
    assert chunk.read_bytes() == content
    xarray.open_zarr(parts, chunks=None).load()


def test_what_a_kill_leaves_behind_does_not_disturb_readers(parts):
    (parts / "status" / "zarr.0123.partial").touch()
    (parts / ".nfs000001").touch()
    for found in (xarray.open_zarr(parts, chunks=None), small(store=parts, shard=(0, 5))):
        assert found.load().sizes["lr"] == 18


# -------------------------------------------------------------------------------------------------------------- refused

OTHERS = {
    "model": ({"model": eos.SingleNeuron(loss="logcosh")}, "logcosh"),
    "optimizer": ({"optimizer": eos.HeavyBall(momentum=0.5)}, "HeavyBall"),
    "grid": ({"grid": {"lr": np.linspace(0.02, 0.08, 18), "y": np.linspace(5, 21, 22)}}, "grid.y"),
    "w0": ({"w0": {"x": 0.31}}, "w0.x is 0.3 there and 0.31 here"),
    "num_steps": ({"num_steps": 51}, "num_steps is 50 there and 51 here"),
    "measure": ({"measure": ("loss",)}, "measure"),
    "stop": ({"stop": eos.Stop(grad_norm=1e-3)}, "stop"),
    "seed": ({"seed": 1}, "seed is 0 there and 1 here"),
    "one of many values": (
        {"grid": {"lr": np.append(np.linspace(0.02, 0.08, 18)[:-1], 0.09), "y": np.linspace(5, 20, 22)}},
        "grid.lr.values[17] is 0.08 there and 0.09 here.",
    ),
    "number of values": (
        {"grid": {"lr": np.linspace(0.02, 0.08, 19), "y": np.linspace(5, 20, 22)}},
        "grid.lr.values has 18 values there and 19 here",
    ),
    "order": (
        {"grid": {"y": np.linspace(5, 20, 22), "lr": np.linspace(0.02, 0.08, 18)}},
        "the order of grid is lr, y there and y, lr here",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_sweep_is_refused(name, parts):
    change, message = OTHERS[name]
    before = files(parts)
    with pytest.raises(ValueError, match="holds another sweep") as caught:
        small(store=parts, **change)
    assert message in str(caught.value)
    assert str(parts) in str(caught.value)
    assert files(parts) == before


@pytest.mark.parametrize("form", ["pandas", "xarray", "view", "block"])
def test_another_start_is_refused_whatever_holds_it(form, tmp_path):
    """Not only where the text that abbreviates it differs."""
    pandas = pytest.importorskip("pandas")
    make = {
        "pandas": pandas.Series,
        "xarray": xarray.DataArray,
        "view": memoryview,
        "block": lambda values: {"w": pandas.Series(values)},
    }[form]
    model = eos.LogisticRegression(eos.datasets.digits(n=20))
    start = np.linspace(0.0, 1.0, model.dim)
    how = {"num_steps": 3, "measure": ("loss",), "num_threads": 1, "store": tmp_path / "sweep.zarr"}
    found = eos.sweep(model, eos.GD(), {"lr": [0.1]}, w0=make(start), **how)
    assert found.loss.item() == eos.train(model, start, eos.GD(lr=0.1), num_steps=3).loss.values[-1]
    eos.sweep(model, eos.GD(), {"lr": [0.1]}, w0=make(start), **how)
    other = start.copy()
    other[30] = np.nextafter(other[30], 1.0)
    with pytest.raises(ValueError, match=r"holds another sweep.*w0.*\[30\] is "):
        eos.sweep(model, eos.GD(), {"lr": [0.1]}, w0=make(other), **how)


def test_what_differs_between_long_axes_is_said_in_numbers(tmp_path):
    how = {"num_steps": 1, "measure": ("loss",), "store": tmp_path / "sweep.zarr"}
    small(grid={"lr": ("run", np.linspace(0.1, 0.2, 70)), "y": ("run", np.arange(70))}, **how)
    with pytest.raises(ValueError, match=r"grid\.lr\.values\.last is 0\.2 there and 0\.3 here; .*sha256"):
        small(grid={"lr": ("run", np.linspace(0.1, 0.3, 70)), "y": ("run", np.arange(70))}, **how)


def test_the_same_sweep_written_otherwise_goes_on(tmp_path):
    grid, first, store = {"lr": np.linspace(0.02, 0.08, 18)}, {"x": 0.3, "y": 5}, tmp_path / "sweep.zarr"
    in_small_blocks(grid=grid, w0=first, num_steps=50, store=store, shard=(0, 2))
    found = in_small_blocks(grid=grid, w0={"y": 5.0, "x": 0.3}, num_steps=50, store=store)
    same(found, small(grid=grid, w0=first))


def test_how_it_is_computed_may_change(parts, reference):
    for i in range(4):
        small(store=parts, shard=(i, 4), num_threads=2, progress=False)
    same(small(store=parts), reference)


@pytest.mark.parametrize("content", ["notes.txt", "zarr.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_store_is_refused(content, overwrite, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / content).write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    before = files(tmp_path)
    with pytest.raises(ValueError, match="is no sweep's store, nothing was changed"):
        small(store=folder, overwrite=overwrite)
    with pytest.raises(ValueError, match="is no sweep's store, nothing was changed"):
        small(store=folder / content, overwrite=overwrite)
    assert files(tmp_path) == before


@pytest.mark.parametrize(("attribute", "message"), [("isa", "EOSFAST_ISA=other"), ("eosfast_version", "eosfast other")])
def test_other_bits_are_refused(attribute, message, parts):
    metadata = json.loads((parts / "zarr.json").read_text())
    metadata["attributes"][attribute] = "other"
    (parts / "zarr.json").write_text(json.dumps(metadata))
    before = files(parts)
    with pytest.raises(ValueError, match=message):
        small(store=parts)
    assert files(parts) == before


def test_overwrite(parts, tmp_path):
    found = small(store=parts, num_steps=7, overwrite=True)
    same(found, small(num_steps=7))
    (tmp_path / "empty").mkdir()
    small(store=tmp_path / "empty", overwrite=True)
    small(store=tmp_path / "new", overwrite=True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["empty", "new", "sweep.zarr"]


def test_links_lead_to_the_store(parts, tmp_path):
    for link, target in (("to_a_store", parts), ("to_nothing", tmp_path / "made"), ("to_a_folder", tmp_path / "empty")):
        (tmp_path / link).symlink_to(target)
    (tmp_path / "empty").mkdir()
    before = sorted(one.name for one in tmp_path.iterdir())
    for link in ("to_a_store", "to_nothing", "to_a_folder"):
        same(small(store=tmp_path / link, num_steps=7, overwrite=True), small(num_steps=7))
        assert (tmp_path / link).is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted([*before, "made"])
    same(small(store=tmp_path / "to_a_store", num_steps=7), small(num_steps=7))


def test_a_store_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    small(store="~/sweep.zarr")
    assert [one.name for one in tmp_path.iterdir()] == ["sweep.zarr"]
    xarray.open_zarr("~/sweep.zarr").close()


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"shard": (0, 2)}, ValueError, "shard needs a store"),
        ({"overwrite": True}, ValueError, "overwrite needs a store"),
        ({"store": "x", "shard": (2, 2)}, ValueError, "i of shard"),
        ({"store": "x", "shard": (-1, 2)}, ValueError, "i of shard"),
        ({"store": "x", "shard": (0, 0)}, ValueError, "n of shard"),
        ({"store": "x", "shard": [0, 2]}, TypeError, "shard must be a tuple"),
        ({"store": "x", "shard": (0, 2), "overwrite": True}, ValueError, "overwrite must be False for a shard"),
        ({"store": 3}, TypeError, "store must be the path"),
        ({"store": ""}, TypeError, "store must be the path"),
        ({"store": b"x"}, TypeError, "store must be the path"),
        ({"store": "s3://x/y.zarr"}, ValueError, "store must be the path of a folder on a disk, got 's3://x/y.zarr'"),
        ({"store": "x\0"}, ValueError, "store must be the path of a folder on a disk"),
        ({"store": "."}, ValueError, "store must be a folder of its own, got .*: name one in it"),
        ({"store": "x", "overwrite": 1}, TypeError, "overwrite"),
        ({"executor": "threads"}, TypeError, "executor must be"),
        ({"executor_factory": 3}, TypeError, "executor_factory must be"),
    ],
)
def test_bad_arguments(how, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        small(**how)
    assert list(tmp_path.iterdir()) == []


def test_a_threshold_beyond_all_numbers_is_left_out(tmp_path):
    """JSON has no infinity."""
    found = eos.sweep(
        eos.SingleNeuron(), eos.GD(1e-320), {"y": [1.0]}, w0={"x": 0.1}, num_steps=2, store=tmp_path / "sweep.zarr"
    )
    assert "threshold" not in found.attrs
    json.loads((tmp_path / "sweep.zarr/zarr.json").read_text(), parse_constant=pytest.fail)
