"""`train(checkpoint=...)`: a run that is stopped at any moment, and resumed, has the bits of one that never was."""

import gc
import os
import random
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import xarray as xr

import eosfast as eos
from checkpoint_runs import CASES, Stops, assert_same, in_folder, renew_often
from eosfast._dispatch import core
from reference import without_provenance

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.npz"


@pytest.fixture
def often(monkeypatch):
    renew_often(monkeypatch)


def resumed(case, file, stops, lives):
    """Run with a stop in each of the lives, then to the end. Returns the result and the number of stops."""
    for life, length in enumerate(lives):
        stops.left = length
        run = eos.train(**case, checkpoint=file)
        if run.attrs["status"] != "interrupted":
            return run, life
    stops.left = -1
    return eos.train(**case, checkpoint=file), len(lives)


# -------------------------------------------------------------------------------------------------------------- resumed


@every_case
def test_stopped_at_any_renewal_a_run_continues_with_the_same_bits(case, file, often, monkeypatch):
    expected = eos.train(**case)
    stops = Stops(monkeypatch)
    assert_same(eos.train(**case, checkpoint=file), expected)
    renewals = stops.renewals
    assert renewals > 15
    file.unlink()
    rng = random.Random(0)
    run, count = resumed(case, file, stops, [rng.randint(2, max(3, renewals // 4)) for _ in range(6)])
    assert count >= 3
    assert_same(run, expected)
    assert in_folder(file) == [file.name]


def test_stopped_at_every_single_renewal(file, often, monkeypatch):
    """Renewals come in pairs of one that is done and one that is stopped; eigenvectors are followed across all."""
    case = CASES["network, followed eigenvectors"] | {"num_steps": 40}
    stops = Stops(monkeypatch)
    run, count = resumed(case, file, stops, [2] * 100)
    assert count > 30
    assert_same(run, eos.train(**case))


def test_the_fill_in_of_a_cycle_is_stopped_and_resumed(file, often, monkeypatch):
    case = CASES["a cycle that is filled in"]
    expected = eos.train(**case)
    assert expected.attrs["status"] == "steady"
    stops = Stops(monkeypatch)
    stops.left = 300
    run = eos.train(**case, checkpoint=file)
    assert run.attrs["status"] == "interrupted"
    assert run.attrs["num_steps_done"] == run.step[-1] > expected.attrs["steady_from"] + 1920
    assert (np.diff(run.step) > 0).all()
    xr.testing.assert_identical(run.isel(step=slice(0, -1)).drop_attrs(), expected.sel(step=run.step[:-1]).drop_attrs())
    stops.left = -1
    assert_same(eos.train(**case, checkpoint=file), expected)


@pytest.mark.parametrize("name", ["neuron", "network, followed eigenvectors"])
def test_ctrl_c_at_any_time(name, file, monkeypatch):
    """What is returned is the beginning of the run, what is kept goes on, also without any renewal before."""
    record = CASES[name]["record"]
    case = CASES[name] | {"num_steps": 3_000_000 if name == "neuron" else 6000, "stop": eos.Stop(steady=False)}
    expected = eos.train(**case)
    inside, done = False, 0

    def ring(*_):
        if inside:
            raise KeyboardInterrupt

    monkeypatch.setattr("eosfast.checkpoint.PERIOD", 1e9)
    before, statuses, seconds = signal.signal(signal.SIGALRM, ring), [], 0.15
    gc.disable()  # in a callback of the collector, and Hypothesis has one, the exception would be lost
    try:
        while "completed" not in statuses:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                inside = True
                run = eos.train(**case, checkpoint=file)
                inside = False
            except KeyboardInterrupt:  # it came outside of the run proper, and would do so forever on a slow machine
                seconds *= 1.2
                continue
            assert run.attrs["num_steps_done"] >= done  # nothing is lost, wherever it came
            done = run.attrs["num_steps_done"]
            statuses.append(run.attrs["status"])
            shared = [t for t in run.step.values[:-1] if t % record.every == 0]
            np.testing.assert_array_equal(run.loss.sel(step=shared), expected.loss.sel(step=shared))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert "interrupted" in statuses
    assert_same(run, expected)


SCRIPT = """
    import os, signal, sys
    import eosfast as eos
    import eosfast.checkpoint
    from checkpoint_runs import CASES, assert_same

    eosfast.checkpoint.PERIOD = 0.0
    eosfast.checkpoint.SHARE = 1e9
    name, file, where, left = sys.argv[1:]
    real, left = getattr(os, where), int(left)

    def deadly(*args):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)

    setattr(os, where, deadly)
    print("ready", flush=True)
    run = eos.train(**CASES[name], checkpoint=file)
    assert_same(run, eos.train(**CASES[name]))
    print("the same")
"""


def process(name, file, where="replace", left=-1):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), name, str(file), where, str(left)]
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def killed_and_finished(name, file, moments):
    for where, left in moments:
        with process(name, file, where, left) as job:
            job.communicate()
            assert job.returncode == -signal.SIGKILL
    with process(name, file) as job:
        out, err = job.communicate()
        assert out == "ready\nthe same\n", err
    assert in_folder(file) == [file.name]  # also what was written when the kills came is gone


def test_sigkill(file):
    """Killed while the file is written, and between writing and renaming."""
    killed_and_finished("network, float32", file, [("fsync", 4), ("replace", 8)])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_sigkill_at_random_moments(name, file):
    rng = random.Random(1)
    moments = [(rng.choice(["replace", "fsync"]), rng.randint(1, 6)) for _ in range(4)]
    killed_and_finished(name, file, moments)
    file.unlink()
    for _ in range(6):
        with process(name, file) as job:
            assert job.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                job.wait(timeout=rng.uniform(0.0, 0.1))
            job.kill()
    killed_and_finished(name, file, [])


# ---------------------------------------------------------------------------------------------------- around a run


def test_a_finished_run_is_returned_at_once(file, monkeypatch):
    case = CASES["network, followed eigenvectors"]
    expected = eos.train(**case, checkpoint=file)
    content = file.read_bytes()
    monkeypatch.delattr(core, "train")  # nothing is computed
    assert_same(eos.train(**case, checkpoint=file), expected)
    assert file.read_bytes() == content


def test_without_a_checkpoint_nothing_differs(file):
    case = CASES["neuron"]
    assert_same(eos.train(**case, checkpoint=str(file)), eos.train(**case))


@pytest.mark.parametrize("num_steps", [0, 1])
def test_short_runs(num_steps, file):
    case = CASES["neuron"] | {"num_steps": num_steps}
    for _ in range(2):
        assert_same(eos.train(**case, checkpoint=file), eos.train(**case))


def test_a_start_that_has_diverged(file):
    case = {"model": eos.SingleNeuron(), "w0": [1e9, 1e9], "optimizer": eos.GD(0.1), "num_steps": 50}
    for _ in range(2):
        assert eos.train(**case, checkpoint=file).attrs["status"] == "diverged"


def test_threads_and_progress_are_not_part_of_a_run(file, often, monkeypatch, capfd):
    case = CASES["network, followed eigenvectors"]
    stops = Stops(monkeypatch)
    stops.left = 60
    eos.train(**case, checkpoint=file)
    capfd.readouterr()
    run = eos.train(**case, checkpoint=file, num_threads=2, progress=True)
    xr.testing.assert_identical(without_provenance(run), without_provenance(eos.train(**case)))
    done = int(capfd.readouterr().err.split("/120")[0].split()[-1])
    assert 50 <= done <= 60  # what was done before is shown as done


def test_wall_seconds_are_those_of_all_parts(file, often, monkeypatch):
    stops = Stops(monkeypatch)
    stops.left = 200
    first = eos.train(**CASES["neuron"], checkpoint=file)
    again = eos.train(**CASES["neuron"], checkpoint=file)
    assert again.attrs["wall_seconds"] > 0.9 * first.attrs["wall_seconds"]


def test_renewals_take_a_small_part_of_the_time(file, monkeypatch):
    """Every renewal is made to take 0.1 s, so a run of half a second has none but the last."""
    import time

    case = CASES["neuron"] | {"num_steps": 10**6, "record": eos.Record(1000), "stop": eos.Stop(steady=False)}
    stops = Stops(monkeypatch)
    monkeypatch.setattr("eosfast.checkpoint.PERIOD", 0.0)
    monkeypatch.setattr(os, "fsync", lambda _: time.sleep(0.1))
    eos.train(**case, checkpoint=file)
    assert stops.renewals <= 2
