"""``eosfast plot`` and ``export``: pictures and tables of an unfinished store, and what is said when there are none."""

from __future__ import annotations

import csv
import errno
import re
import sys

import numpy as np
import pytest

import eosfast as eos

pytest.importorskip("zarr", reason="stores need Zarr")
import xarray

ZIPPED = """
num_steps = 100
measure = ["weights", "loss"]
model = {type = "SingleNeuron"}
optimizer = {type = "GD"}
[grid]
seed = [3, 1]
lr = [0.01, 0.02, 0.03]
[grid.zip.run]
w.x = [0.3, 0.4]
model.loss = ["sqrt", "huber"]
"""


@pytest.fixture
def unfinished(tmp_path, call, three_blocks):
    (tmp_path / "zipped.toml").write_text(ZIPPED.replace("seed = [3, 1]", "seed = [3, 1, 2]"))
    store = tmp_path / "zipped.zarr"
    assert call("sweep", tmp_path / "zipped.toml", "--store", store, "--shard", "0/2")[0] == 0
    return store


def rows_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_a_row_for_each_run(unfinished, call, tmp_path):
    assert call("export", unfinished, tmp_path / "t.csv") == (0, f"{tmp_path / 't.csv'}\n", "")
    rows = rows_of(tmp_path / "t.csv")
    assert list(rows[0]) == [
        *("seed", "lr", "run", "model.loss", "w.x", "loss", "num_steps_done", "status", "weights.x", "weights.y")
    ]
    places = [(row["seed"], row["lr"], row["run"], row["model.loss"], row["w.x"]) for row in rows]
    assert places == [
        (seed, lr, *run)
        for seed in ("3", "1", "2")
        for lr in ("0.01", "0.02", "0.03")
        for run in (("0", "sqrt", "0.3"), ("1", "huber", "0.4"))
    ]
    assert [row["status"] for row in rows] == ["completed"] * 12 + ["pending"] * 6
    for row in rows[:12]:
        model = eos.SingleNeuron(loss=row["model.loss"])
        start = {"x": float(row["w.x"]), "y": model.init(int(row["seed"]))[1]}
        run = eos.train(model, start, eos.GD(float(row["lr"])), num_steps=100, record=eos.Record(100, ("loss",)))
        assert float(row["loss"]) == run["loss"].values[-1]
    assert {row["loss"] for row in rows[12:]} == {""}


def test_pieces_are_the_whole(unfinished, call, tmp_path, monkeypatch):
    from eosfast.cli import tables

    assert call("export", unfinished, tmp_path / "whole.csv")[0] == 0
    monkeypatch.setattr(tables, "NUMBERS", 50)  # five rows at a time
    assert call("export", unfinished, tmp_path / "pieces.csv")[0] == 0
    assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_parquet(unfinished, call, tmp_path, monkeypatch):
    format_ = pytest.importorskip("pyarrow.parquet")
    from eosfast.cli import tables

    call("export", unfinished, tmp_path / "t.csv")
    monkeypatch.setattr(tables, "NUMBERS", 50)
    assert call("export", unfinished, tmp_path / "t.parquet")[0] == 0
    found = format_.read_table(tmp_path / "t.parquet").to_pylist()
    rows = rows_of(tmp_path / "t.csv")
    assert len(found) == len(rows) == 18
    for one, row in zip(found, rows, strict=True):
        assert list(one) == list(row)
        for name, text in row.items():
            missing = text == "" and (one[name] is None or np.isnan(one[name]))
            assert missing or type(one[name])(text) == one[name], name


def test_parquet_without_pyarrow(unfinished, call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    before = set(tmp_path.iterdir())
    status, out, err = call("export", unfinished, tmp_path / "t.parquet")
    assert (status, out) == (2, "")
    assert err == "eosfast: Parquet needs pyarrow: pip install pyarrow\n"
    assert set(tmp_path.iterdir()) == before


def test_netcdf_is_the_dataset(unfinished, call, tmp_path, monkeypatch):
    assert call("export", unfinished, tmp_path / "t.nc")[0] == 0
    with xarray.open_dataset(tmp_path / "t.nc") as found, xarray.open_zarr(unfinished, consolidated=False) as stored:
        assert set(found.coords) == set(stored.coords) == {"seed", "lr", "w.x", "model.loss", "parameter"}
        for name in stored.variables:
            assert found[name].dtype.kind == stored[name].dtype.kind or stored[name].dtype.kind == "T"
            assert found[name].values.tolist() == stored[name].values.tolist() or name in ("loss", "weights")
        np.testing.assert_array_equal(found["weights"], stored["weights"])
    monkeypatch.setattr("eosfast.resources.available_memory", lambda: 100)
    status, _, err = call("export", unfinished, tmp_path / "u.nc")
    assert status == 2
    assert "the Dataset would take" in err
    assert "export .csv or .parquet" in err
    assert not (tmp_path / "u.nc").exists()


def test_plot(unfinished, call, tmp_path, monkeypatch):
    arguments = ["plot", unfinished, "--x", "lr", "--y", "seed", "--out", tmp_path / "fig.png"]
    drawn = []
    monkeypatch.setattr("matplotlib.axes.Axes.pcolormesh", recorded(drawn))
    assert call(*arguments, "--value", "loss", "--at", "run=1") == (0, f"{tmp_path / 'fig.png'}\n", "")
    assert (tmp_path / "fig.png").read_bytes().startswith(b"\x89PNG")
    with xarray.open_zarr(unfinished, consolidated=False) as stored:
        done = stored["loss"].isel(run=1).transpose("seed", "lr").sortby("seed").values
    assert np.isfinite(done).sum() == 6
    np.testing.assert_array_equal(drawn[0].filled(np.nan), done)
    assert call(*arguments, "--value", "num_steps_done", "--at", "run=0")[0] == 0
    masked = drawn[2].mask  # after the map and its bar
    np.testing.assert_array_equal(masked, ~np.isfinite(done))  # not the fill value of what is not done
    assert call(*arguments, "--value", "weights", "--at", "run=0", "--at", "parameter=y")[0] == 0
    assert call(*arguments, "--value", "status", "--at", "run=0")[0] == 0


def test_the_title_says_where_a_picture_was_cut(unfinished, call, tmp_path, monkeypatch):
    """At the nearest value, not at the one asked for."""
    titles = []
    monkeypatch.setattr("matplotlib.axes.Axes.set_title", lambda self, text, **_: titles.append(text))
    arguments = ["plot", unfinished, "--x", "run", "--y", "seed", "--value", "loss", "--out", tmp_path / "fig.png"]
    assert call(*arguments, "--at", "lr=0.0243")[0] == 0
    assert call(*arguments, "--at", "lr=7")[0] == 0
    assert titles == ["lr=0.02", "lr=0.03"]


def test_a_picture_that_cannot_be_written_leaves_the_old_one(unfinished, call, tmp_path, monkeypatch):
    def savefig(self, file, **_):
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)
    (tmp_path / "fig.png").write_bytes(b"old")
    before = set(tmp_path.iterdir())
    arguments = ["--x", "lr", "--y", "seed", "--value", "loss", "--at", "run=0", "--out", tmp_path / "fig.png"]
    assert call("plot", unfinished, *arguments) == (
        2,
        "",
        f"eosfast: '{tmp_path / 'fig.png'}' cannot be written (No space left on device)\n",
    )
    assert (tmp_path / "fig.png").read_bytes() == b"old"
    assert set(tmp_path.iterdir()) == before


def test_a_plot_over_an_axis_whose_values_repeat(call, tmp_path):
    store = tmp_path / "sweep.zarr"
    grid = {"lr": [0.1, 0.1], "y": [1.0, 2.0]}
    eos.sweep(eos.SingleNeuron(), eos.GD(), grid, w0={"x": 0.3}, num_steps=3, measure=("loss",), store=store)
    arguments = ["--x", "lr", "--y", "y", "--value", "loss", "--out", tmp_path / "fig.png"]
    assert call("plot", store, *arguments) == (
        2,
        "",
        "eosfast: the values of 'lr' must be finite and different to be an axis of cells\n",
    )


def recorded(drawn):
    from matplotlib.axes import Axes

    draw = Axes.pcolormesh

    def pcolormesh(self, x, y, values, **style):
        drawn.append(values)
        return draw(self, x, y, values, **style)

    return pcolormesh


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--x", "lr", "--y", "seed", "--value", "los"], "--value must be .*did you mean 'loss'"),
        (["--x", "lrr", "--y", "seed", "--value", "loss"], "--x must be .*did you mean 'lr'"),
        (["--x", "lr", "--y", "w.x", "--value", "loss"], "--y must be 'seed', 'lr' or 'run'"),
        (["--x", "lr", "--y", "lr", "--value", "loss"], "--x and --y must differ"),
        (["--x", "lr", "--y", "seed", "--value", "loss"], "another axis, 'run': say where to cut it, --at run=VALUE"),
        (["--x", "lr", "--y", "seed", "--value", "loss", "--at", "rum=1"], "--at must be NAME=VALUE, NAME 'run'"),
        (
            ["--x", "lr", "--y", "seed", "--value", "loss", "--at", "run=0", "--at", "run=1"],
            "--at must name each axis once, got run=0 and run=1",
        ),
        (["--x", "lr", "--y", "seed", "--value", "loss", "--at", "run=a"], "--at run must be a number, got 'a'"),
        (
            ["--x", "lr", "--y", "seed", "--value", "weights", "--at", "parameter=z"],
            "--at parameter must be 'x' or 'y', got 'z'",
        ),
    ],
)
def test_plots_that_cannot_be_drawn(arguments, message, unfinished, call, tmp_path):
    status, out, err = call("plot", unfinished, *arguments, "--out", tmp_path / "fig.png")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert not (tmp_path / "fig.png").exists()


def test_a_damaged_chunk_is_one_line(unfinished, call, tmp_path):
    chunk = next(file for file in sorted((unfinished / "loss" / "c").rglob("*")) if file.is_file())
    chunk.write_bytes(b"\x00" + chunk.read_bytes()[1:])
    status, out, err = call("export", unfinished, tmp_path / "t.csv")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert f"store '{unfinished}' is damaged" in err
    assert not (tmp_path / "t.csv").exists()
