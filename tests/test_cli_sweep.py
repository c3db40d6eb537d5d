"""``eosfast sweep``, ``status``, ``plot`` and ``export``, called in this process where that is possible."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import eosfast as eos
from eosfast import cli, engine

pytest.importorskip("zarr", reason="stores need Zarr")
import xarray

SPEC = """
num_steps = 200
measure = ["sharpness", "last_loss_increase"]
model = {type = "SingleNeuron"}
optimizer = {type = "GD"}
w0 = {x = 0.3}
[grid]
lr = {geomspace = [1e-3, 1e-1, 4]}
y = {linspace = [2, 20, 6]}
"""
GRID = {"lr": np.geomspace(1e-3, 1e-1, 4), "y": np.linspace(2, 20, 6)}

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

SLOW = """
num_steps = 2_000_000
stop = {steady = false}
measure = ["loss"]
model = {type = "Scalar1D"}
optimizer = {type = "GD", lr = 0.9}
grid.x = {linspace = [0.5, 2, 20000]}
"""


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "spec.toml"
    file.write_text(SPEC)
    return file


@pytest.fixture
def call(capsys):
    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def three_blocks(monkeypatch):
    """Make three blocks of the small grid above, which would be one."""
    from eosfast.blocks import Blocks

    monkeypatch.setattr(engine, "layout", lambda job, num_threads: Blocks(job.shape, (2, *job.shape[1:])))


def wanted():
    return eos.sweep(
        eos.SingleNeuron(),
        eos.GD(),
        GRID,
        w0={"x": 0.3},
        num_steps=200,
        measure=["sharpness", "last_loss_increase"],
    )


def test_a_sweep_is_the_python_call(spec, call, tmp_path):
    store = tmp_path / "out.zarr"
    status, out, err = call("sweep", spec, "--store", store, "--threads", 1)
    assert status == 0
    assert "24 runs: 24 completed; 4800 steps" in out
    assert "4800 steps in " in out
    assert f"a second; the result is in {store}" in out
    assert "24/24" in err  # the bar
    assert "run/s" in err
    with xarray.open_zarr(store, consolidated=False) as found:
        for name, values in wanted().variables.items():
            assert found[name].values.tobytes() == values.values.tobytes(), name
    before = {file: file.stat().st_mtime_ns for file in store.rglob("*")}
    status, out, _ = call("sweep", spec, "--store", store)
    assert status == 0
    assert "0 steps in " in out
    assert {file: file.stat().st_mtime_ns for file in store.rglob("*")} == before
    status, _, err = call("sweep", spec, "--store", store, "--set", "num_steps=300")
    assert status == 2
    assert "holds another sweep" in err
    assert err.count("\n") == 1
    assert {file: file.stat().st_mtime_ns for file in store.rglob("*")} == before
    assert call("sweep", spec, "--store", store, "--set", "num_steps=300", "--overwrite")[0] == 0
    assert "7200 steps" in call("status", store)[1]


def test_shards_fill_one_store(spec, call, tmp_path, three_blocks):
    store = tmp_path / "out.zarr"
    (tmp_path / "spec.toml").write_text(SPEC.replace("1e-1, 4", "1e-1, 5"))
    assert call("sweep", spec, "--store", store, "--shard", "1/3")[0] == 0
    assert call("status", store)[1].startswith("12 of 30 runs done (40.0 %)\n")
    assert "not ended" in call("status", store)[1]
    assert call("sweep", spec, "--store", store, "--shard", "2/3")[0] == 0
    status, out, _ = call("sweep", spec, "--store", store, "--shard", "0/3")
    assert status == 0
    assert "30 runs: 30 completed; 6000 steps\n2400 steps in " in out
    status, out, err = call("status", store)
    assert (status, err) == (0, "")
    assert out.startswith("30 of 30 runs done (100.0 %)\n")
    assert ", ended 2" in out


def test_dry_run_writes_nothing(spec, call, tmp_path):
    status, out, err = call("sweep", spec, "--dry-run", "--threads", 2, "--store", tmp_path / "out.zarr")
    assert (status, err) == (0, "")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert lines["runs"] == "24 (4 x 6) of 200 steps"
    assert lines["bytes"] == str(24 * (8 + 8 + 8 + 1))
    assert lines["blocks"].startswith("1 of 4 x 6 runs, ")
    assert lines["files"] == "4"
    assert lines["time"].endswith("with 2 threads")
    assert call("sweep", spec, "--dry-run", "--shard", "1/2")[1].splitlines()[-1].startswith("shard   1/2: 0 blocks")
    assert [one.name for one in tmp_path.iterdir()] == ["spec.toml"]


def test_the_estimate_is_about_right(spec, call):
    line = call("sweep", spec, "--dry-run", "--threads", 1, "--set", "num_steps=200000", "--set", "stop.steady=false")[
        1
    ].splitlines()[-1]
    job = eos.specification.read(spec, ["num_steps=200000", "stop.steady=false"])
    began = time.thread_time()
    job.run(job.whole(), 1)
    number, unit = line.split()[2:4]
    assert unit == "seconds"
    assert 0.2 < float(number) / (time.thread_time() - began) < 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep"], "SPEC of sweep is missing"),
        (["sweep", "spec.toml"], "--store of sweep is missing"),
        (["sweep", "absent.toml", "--store", "s"], "absent.toml: No such file"),
        (["sweep", "spec.toml", "--store", "s", "--shard", "3/3"], "i of shard must be an int from 0 to 2, got 3"),
        (["sweep", "spec.toml", "--store", "s", "--shard", "0/0"], "n of shard must be an int >= 1, got 0"),
        (["sweep", "spec.toml", "--store", "s", "--shard=-1/3"], "--shard must be i/n"),
        (["sweep", "spec.toml", "--store", "s", "--shard", "1"], "--shard must be i/n"),
        (["sweep", "spec.toml", "--store", "s", "--threads", "x"], "--threads"),
        (["sweep", "spec.toml", "--store", "s", "--threads", "-1"], "num_threads must be an int"),
        (["sweep", "spec.toml", "--store", "s", "--set", "num_step=3"], "did you mean 'num_steps'"),
        (["sweep", "spec.toml", "--store", "spec.toml"], "'spec.toml' is no sweep's store, nothing was changed"),
        (["sweep", "spec.toml", "--store", "."], "'.' is no sweep's store, nothing was changed"),
        (["sweep", "spec.toml", "--store", ".", "--overwrite"], "'.' is no sweep's store, nothing was changed"),
        (["sweep", "spec.toml", "--stor", "s"], "unknown option '--stor'.*did you mean '--store'"),
        (["sweep", "spec.toml", "more", "--store", "s"], "unexpected argument 'more'"),
        (["status"], "STORE of status is missing"),
        (["status", "absent"], "'absent' does not exist"),
        (["status", "."], "'.' is no sweep's store"),
        (["plot", "s"], "--x of plot is missing"),
        (["plot", "s", "--x", "lr", "--y", "y", "--value", "loss", "--out", "f.gif"], "--out must end in '.png', "),
        (["plot", "s", "--x", "lr", "--y", "y", "--value", "loss", "--out", "no/f.png"], "folder that exists"),
        (["plot", "s", "--x", "lr", "--y", "y", "--value", "loss", "--out", "f.png"], "'s' does not exist"),
        (["export", "s"], "FILE of export is missing"),
        (["export", "s", "f.xls"], "FILE must end in '.nc', '.parquet' or '.csv'"),
        (["export", "s", "no/f.csv"], "FILE must be in a folder that exists"),
        (["export", "s", "f.csv"], "'s' does not exist"),
    ],
)
def test_a_wrong_call_is_one_line_and_writes_nothing(arguments, message, spec, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("eosfast: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert [one.name for one in tmp_path.iterdir()] == ["spec.toml"]
    assert spec.read_text() == SPEC


@pytest.mark.parametrize("line", ["num_step = 3", "[grid", "measure = [", 'seed = "0"'])
def test_a_bad_specification_writes_nothing(line, call, tmp_path):
    (tmp_path / "spec.toml").write_text(SPEC.replace("num_steps = 200", f"num_steps = 200\n{line}"))
    status, out, err = call("sweep", tmp_path / "spec.toml", "--store", tmp_path / "out.zarr")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert [one.name for one in tmp_path.iterdir()] == ["spec.toml"]


# -------------------------------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_lets_the_running_block_be_stored(name, spec, call, tmp_path, three_blocks, monkeypatch):
    store, kill = tmp_path / "out.zarr", getattr(signal, name)
    of_process = signal.getsignal(kill)
    run = engine.Store.write

    def write(self, block, arrays):
        os.kill(os.getpid(), kill)
        run(self, block, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(engine.Store, "write", write)
        status, out, _ = call("sweep", spec, "--store", store, "--threads", 1)
    assert status == 75
    assert f"stopped by {name}: the same command goes on" in out
    assert "24 runs: 12 completed, 12 pending; 2400 steps\n2400 steps in " in out
    assert signal.getsignal(kill) == of_process
    status, out, err = call("sweep", spec, "--store", store, "--threads", 1)
    assert status == 0
    assert "24 runs: 24 completed; 4800 steps\n2400 steps in " in out
    assert "12/24" in err or " 50%" in err  # the bar begins where the first call ended
    with xarray.open_zarr(store, consolidated=False) as found:
        np.testing.assert_array_equal(found["sharpness"], wanted()["sharpness"])


def test_a_signal_in_the_last_block_changes_nothing(spec, call, tmp_path, monkeypatch):
    run = engine.Store.write

    def write(self, block, arrays):
        run(self, block, arrays)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(engine.Store, "write", write)
    assert call("sweep", spec, "--store", tmp_path / "out.zarr")[0] == 0


def started(tmp_path, *signals):
    """Begin a sweep of many blocks, send signals once a block is there; return exit status, stdout, stderr, seconds."""
    (tmp_path / "slow.toml").write_text(SLOW)
    store = tmp_path / "slow.zarr"
    command = [sys.executable, "-m", "eosfast.cli", "sweep", "slow.toml", "--store", str(store), "--threads", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(store.glob("status/c/*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        began = time.monotonic()
        for one in signals:
            process.send_signal(one)
            time.sleep(0.1)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err, time.monotonic() - began
    finally:
        process.kill()


def test_ctrl_c_ends_at_once_and_the_store_goes_on(tmp_path, call):
    status, out, err, seconds = started(tmp_path, signal.SIGINT)
    assert status == 130
    assert seconds < 5
    assert "Traceback" not in err
    assert err.endswith("eosfast: interrupted\n")
    assert " pending; " in out
    done = call("status", tmp_path / "slow.zarr")[1]
    assert "of 20000 runs done" in done
    assert not done.startswith("0 of")


def test_a_second_signal_gives_the_block_up(tmp_path):
    status, out, err, seconds = started(tmp_path, signal.SIGUSR1, signal.SIGTERM)
    assert status == 75
    assert seconds < 5
    assert "Traceback" not in err
    assert "stopped by SIG" in out


# ------------------------------------------------------------------------------------------------------ plot and export


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
        done = stored["loss"].isel(run=1).transpose("seed", "lr").values
    assert np.isfinite(done).sum() == 6
    np.testing.assert_array_equal(drawn[0].filled(np.nan), done)
    assert call(*arguments, "--value", "num_steps_done", "--at", "run=0")[0] == 0
    masked = drawn[2].mask  # after the map and its bar
    np.testing.assert_array_equal(masked, ~np.isfinite(done))  # not the fill value of what is not done
    assert call(*arguments, "--value", "weights", "--at", "run=0", "--at", "parameter=y")[0] == 0


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
    assert not (tmp_path / "t.csv").exists()
