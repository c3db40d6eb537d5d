"""``eosfast sweep``, ``status``, ``plot`` and ``export``, called in this process where that is possible."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import eosfast as eos
from eosfast import engine
from sanitizers import SLOWNESS

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
    assert out.startswith("shard 0/3: 12 runs: 12 completed; 2400 steps\n2400 steps in ")  # others' are not read
    status, out, err = call("status", store)
    assert (status, err) == (0, "")
    assert out.startswith("30 of 30 runs done (100.0 %)\n")
    assert ", ended 2" in out


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_the_store_knows_the_commit_of_its_specification(spec, call, tmp_path):
    def git(*words):
        identity = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", "-C", tmp_path, *identity, *words], capture_output=True, text=True, check=True)

    def noted(file):
        assert call("sweep", file, "--store", tmp_path / "out.zarr", "--overwrite", "--set", "num_steps=2")[0] == 0
        with xarray.open_zarr(tmp_path / "out.zarr") as found:
            return found.attrs.get("git")

    assert noted(spec) is None
    git("init", "-q")
    git("add", spec)
    git("commit", "-q", "-m", "a sweep")
    commit = git("rev-parse", "HEAD").stdout.strip()
    assert noted(spec) == commit
    spec.write_text(SPEC + "# changed\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.toml").symlink_to(spec)
    assert noted(spec) == noted(tmp_path / "elsewhere" / "link.toml") == f"{commit} with changes"


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


# Its last iterates cost more than its steps.
COSTLY_END = """
num_steps = 20
measure = ["gfs_sharpness"]
model = {type = "LinearNetwork", widths = [6, 6, 6], target = {data}}
optimizer = {type = "GD"}
[grid]
lr = {linspace = [0.001, 0.01, 10]}
seed = {range = [0, 40]}
""".replace("{data}", str(np.diag(np.arange(1.0, 7.0)).tolist()))


@pytest.mark.parametrize("text", [SPEC.replace("= 200", "= 200_000\nstop = {steady = false}"), COSTLY_END])
def test_the_estimate_is_about_right(text, spec, call):
    spec.write_text(text)
    line = call("sweep", spec, "--dry-run", "--threads", 1)[1].splitlines()[-1]
    job = eos.specification.read(spec)
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
        (["sweep", "spec.toml", "--store", "s3://b/s"], "store must be the path of a folder on a disk, got 's3://b/s'"),
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
    assert seconds < 5 * SLOWNESS
    assert "Traceback" not in err
    assert err.endswith("eosfast: interrupted\n")
    assert " pending; " in out
    done = call("status", tmp_path / "slow.zarr")[1]
    assert "of 20000 runs done" in done
    assert not done.startswith("0 of")


def test_a_second_signal_gives_the_block_up(tmp_path):
    status, out, err, seconds = started(tmp_path, signal.SIGUSR1, signal.SIGTERM)
    assert status == 75
    assert seconds < 5 * SLOWNESS
    assert "Traceback" not in err
    assert "stopped by SIG" in out
