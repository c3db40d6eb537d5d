"""Files that are no checkpoint of this run: damaged, another run's, foreign, or not to be written."""

import io
import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import eosfast as eos
from checkpoint_runs import CASES, Stops, assert_same, forged, in_folder, renew_often
from eosfast._dispatch import core


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.npz"


@pytest.fixture
def often(monkeypatch):
    renew_often(monkeypatch)


# ------------------------------------------------------------------------------------------------------ other files


OTHERS = {
    "num_steps": {"num_steps": 2501},
    "optimizer.lr": {"optimizer": eos.GD(0.011)},
    "optimizer.type": {"optimizer": eos.HeavyBall(0.01, momentum=0.0)},
    "model.type": {"model": eos.ScalarProduct(depth=2)},
    "w0": {"w0": [0.3, 15.000000000000002]},
    "record.every": {"record": eos.Record(10, CASES["neuron"]["record"].quantities, k=2)},
    "stop.loss": {"stop": eos.Stop(loss=1e-3)},
    "seed": {"seed": 1},
}


@pytest.mark.parametrize(("what", "finished"), [*((what, False) for what in OTHERS), ("seed", True)])
def test_the_checkpoint_of_another_run_is_refused(what, finished, file, often, monkeypatch):
    case = CASES["neuron"]
    stops = Stops(monkeypatch)
    stops.left = -1 if finished else 20
    eos.train(**case, checkpoint=file)
    content = file.read_bytes()
    with pytest.raises(ValueError, match=rf"run\.npz' belongs to another run.*{what.replace('.', '[.]')} is .*there"):
        eos.train(**(case | OTHERS[what]), checkpoint=file)
    assert file.read_bytes() == content


def test_zeros_of_either_sign_are_different_starts(file):
    case = {
        "model": eos.SingleNeuron(),
        "optimizer": eos.GD(0.1),
        "num_steps": 5,
        "record": eos.Record(1, ("weights",)),
    }
    eos.train(**case, w0=[0.0, 1.0], checkpoint=file)
    with pytest.raises(ValueError, match="w0 is"):
        eos.train(**case, w0=[-0.0, 1.0], checkpoint=file)


def refused(case, file):
    """The file is refused by name, and is what it was."""
    content = file.read_bytes()
    with pytest.raises(ValueError, match=r"checkpoint .*run\.npz"):
        eos.train(**case, checkpoint=file)
    assert file.read_bytes() == content
    assert in_folder(file) == [file.name]


def some_array():
    stream = io.BytesIO()
    np.savez(stream, step=np.arange(3))
    return stream.getvalue()


@pytest.mark.parametrize("content", [b"", b"a text", bytes(1000), some_array()], ids=["empty", "text", "zeros", "npz"])
def test_a_foreign_file_is_refused(content, file):
    file.write_bytes(content)
    refused(CASES["neuron"], file)


@pytest.fixture(scope="module", params=["under way", "finished"])
def written(request, tmp_path_factory):
    file, case = tmp_path_factory.mktemp("written") / "run.npz", CASES["network, followed eigenvectors"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eosfast.checkpoint.PERIOD", 0.0)
        patch.setattr("eosfast.checkpoint.SHARE", 1e9)
        Stops(patch).left = 30 if request.param == "under way" else -1
        eos.train(**case, checkpoint=file)
    return case, file.read_bytes()


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_refused(written, file, data):
    case, content = written
    at = data.draw(
        st.one_of(st.integers(0, len(content) - 1), st.integers(max(0, len(content) - 400), len(content) - 1))
    )
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "leave out"]))
    damaged = {
        "flip": content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :],
        "cut": content[:at],
        "insert": content[:at] + data.draw(st.binary(min_size=1, max_size=80)) + content[at:],
        "leave out": content[:at] + content[at + 1 :],
    }[kind]
    if damaged != content:
        file.write_bytes(damaged)
        refused(case, file)


def test_what_forges_itself_a_checksum_is_still_read_with_care(file, often, monkeypatch):
    case = CASES["network, followed eigenvectors"]
    stops = Stops(monkeypatch)
    stops.left = 30
    eos.train(**case, checkpoint=file)
    content, expected = file.read_bytes(), eos.train(**case)

    def facts(**changes):
        def change(arrays):
            known = json.loads(str(arrays["facts"]))
            known["outcome"] |= changes
            arrays["facts"] = np.array(json.dumps(known))

        return change

    def cut(length):
        return lambda arrays: arrays.update(state=arrays["state"][:length])

    def column(change):
        return lambda arrays: arrays.update({"column.loss": change(arrays["column.loss"])})

    size = len(np.load(io.BytesIO(content))["state"])
    forgeries = [cut(length) for length in (1, 4, 5, 12, 20, size // 2, size - 9, size - 1)]
    forgeries += [lambda arrays: arrays.update(state=np.append(arrays["state"], np.uint8(0)))]
    forgeries += [facts(rows=rows) for rows in (-1, 0, 1, 10**9)] + [facts(status=77)]
    forgeries += [column(lambda a: a[:-1]), column(lambda a: a.astype(np.float32)), lambda a: a.pop("column.loss")]
    forgeries += [lambda arrays: arrays.update({"column.step": arrays["column.step"] * 2})]
    for forgery in forgeries:
        file.write_bytes(forged(content, forgery))
        refused(case, file)
    file.write_bytes(forged(content, lambda arrays: None))
    stops.left = -1
    assert_same(eos.train(**case, checkpoint=file), expected)


def test_an_anchor_that_the_run_meets_without_repeating_ends(file, often, monkeypatch):
    every_step = {"record": eos.Record(1, ("weights",))}
    case = {
        "model": eos.ScalarProduct(depth=2, target=1.0),
        "w0": [1.4, 1.0],
        "optimizer": eos.GD(1.5),  # chaotic
        "num_steps": 5000,
        "record": eos.Record(100, ("loss",)),
    }
    w = eos.train(**(case | every_step)).weights.values
    stops = Stops(monkeypatch)
    stops.left = 30
    assert 1920 < eos.train(**case, checkpoint=file).attrs["num_steps_done"] < 2880

    def meet(arrays):  # steps at which a run is compared with what it was 960 steps ago
        state = arrays["state"].tobytes()
        assert w[1920].tobytes() in state
        arrays["state"] = np.frombuffer(state.replace(w[1920].tobytes(), w[2880].tobytes()), np.uint8)

    file.write_bytes(forged(file.read_bytes(), meet))
    stops.left = -1
    with pytest.raises(ValueError, match=r"run\.npz' cannot be continued: the saved state does not fit"):
        eos.train(**case, checkpoint=file)


# ------------------------------------------------------------------------------------------------------ bad names


@pytest.mark.parametrize("name", [3, True, b"run", ["run"], 1.5])
def test_what_is_no_name(name):
    with pytest.raises(TypeError, match="checkpoint must be the name of a file or None"):
        eos.train(**CASES["neuron"], checkpoint=name)


def test_a_folder_or_an_empty_name(tmp_path):
    for name in (tmp_path, "", "a\0b", "s3://bucket/run.npz"):
        with pytest.raises(ValueError, match="checkpoint must be the name of a file"):
            eos.train(**CASES["neuron"], checkpoint=name)


def test_a_checkpoint_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    eos.train(**CASES["neuron"], checkpoint="~/run.npz")
    assert in_folder(tmp_path / "run.npz") == ["run.npz"]


def test_what_cannot_be_written_is_an_error_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "text").write_text("no folder")
    monkeypatch.delattr(core, "train")  # any work would fail otherwise
    places = [tmp_path / "text" / "run.npz"]
    if os.geteuid() != 0:
        (tmp_path / "locked").mkdir(mode=0o555)
        places.append(tmp_path / "locked" / "run.npz")
    for place in places:
        with pytest.raises(OSError, match=r"checkpoint .*run\.npz' cannot be written"):
            eos.train(**CASES["neuron"], checkpoint=place)


def test_a_full_disk_ends_the_run_and_the_last_file_stays(file, often, monkeypatch):
    case, count = CASES["neuron"], 0
    real = os.replace

    def replace(source, target):
        nonlocal count
        count += 1
        if count == 20:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match=r"run\.npz' cannot be written \(No space left on device\)") as caught:
        eos.train(**case, checkpoint=file)
    assert caught.value.errno == 28
    assert count == 20
    assert in_folder(file) == [file.name]
    assert_same(eos.train(**case, checkpoint=file), eos.train(**case))


def test_folders_are_made_and_links_are_kept(tmp_path):
    run = eos.train(**CASES["neuron"], checkpoint=tmp_path / "a" / "b" / "run")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "a" / "b" / "other")
    assert_same(eos.train(**CASES["neuron"], checkpoint=link), run)
    assert link.is_symlink()
    assert (tmp_path / "a" / "b" / "other").is_file()
