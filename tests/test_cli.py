"""The command line, as a process: what it prints where, its exit status, and what it leaves alone."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import eosfast as eos
from eosfast import cli, papers
from eosfast.papers import ahn2023
from eosfast.papers.check import compare
from sanitizers import SLOWNESS

COMMAND = [sys.executable, "-m", "eosfast.cli"]


def call(*arguments, cwd=None):
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a command is missing: must be 'reproduce', 'verify', 'sweep', 'status'"),
        (["reproduec", "ahn2023"], "unknown command 'reproduec'.*did you mean 'reproduce'"),
        (["reproduce"], "the paper to reproduce is missing: must be 'ahn2023', 'cai2024'"),
        (["reproduce", "ahn2032"], "unknown paper 'ahn2032'.*did you mean 'ahn2023'"),
        (
            ["reproduce", "ahn2023", "--figure", "phase"],
            "unknown figure 'phase'.*'exponent' .did you mean 'phase_diagram'",
        ),
        (["reproduce", "ahn2023", "--figure", ""], "unknown figure ''"),
        (["reproduce", "ahn2023", "--figure"], "--figure"),
        (["reproduce", "ahn2023", "--ouput", "x"], "unknown option '--ouput'.*did you mean '--out'"),
        (["reproduce", "ahn2023", "--fig", "fig1"], "unknown option '--fig'.*did you mean '--figure'"),
        (["reproduce", "ahn2023", "fig1"], "unexpected argument 'fig1' of reproduce"),
        (["verify", "ahn2023", "ma2022"], "unknown paper 'ma2022': must be 'ahn2023', 'cai2024'"),
        (["verify", "--out", "x"], "unknown option '--out': must be '--help'"),
        (["info", "all"], "unexpected argument 'all' of info"),
        (["reproduce", "ahn2023", "--data", "here"], "--data is for 'cai2024' only: ahn2023 makes its own data"),
        (["reproduce", "cai2024", "--data", "nowhere"], "--data must be a folder with CIFAR-10: .*'nowhere'"),
        (["reproduce", "cai2024", "--data"], "--data: expected one argument"),
        (["reproduce", "cai2024", "--figure", "margin"], "unknown figure 'margin' of cai2024: must be 'xor', "),
        (["--verson"], "unknown option '--verson'.*did you mean '--version'"),
    ],
)
def test_a_wrong_call_is_one_line(arguments, message, tmp_path, capsys):
    result = call(*arguments, cwd=tmp_path) if len(arguments) < 2 else None
    status = cli.main(arguments) if result is None else result.returncode
    out, err = capsys.readouterr() if result is None else (result.stdout, result.stderr)
    assert status == 2
    assert out == ""
    assert err.startswith("eosfast: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert re.search(message, err)
    assert list(tmp_path.iterdir()) == []


def test_out_that_is_a_file(tmp_path):
    file = tmp_path / "notes"
    file.write_text("mine")
    for out in (file, file / "below"):
        result = call("reproduce", "ahn2023", "--out", out, cwd=tmp_path)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("eosfast: --out must be a folder")
        assert result.stderr.count("\n") == 1
    assert file.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_out_that_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    result = call("reproduce", "ahn2023", "--out", tmp_path)
    assert result.returncode == 2
    assert "can be written" in result.stderr
    assert result.stderr.count("\n") == 1


def test_version():
    result = call("--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"eosfast {eos.__version__}\n", "")


COMMANDS = {
    "reproduce": ("--figure", "--out", "--data"),
    "verify": (),
    "sweep": (
        "--store",
        "--shard",
        "--set",
        "--threads",
        "--overwrite",
        "--dry-run",
        "[grid.zip.run]",
        "QuadraticRegression.random(",
        "SLURM",
    ),
    "status": (),
    "plot": ("--x", "--y", "--value", "--at", "--out"),
    "export": (),
    "info": (),
}


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help(arguments):
    result = call(*arguments)
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith("usage: eosfast")
    for word in COMMANDS.get(arguments[0], COMMANDS):
        assert word in result.stdout


def test_info_says_what_runs():
    result = call("info")
    assert result.returncode == 0
    facts = dict(line.split(None, 1) for line in result.stdout.splitlines())
    assert facts["version"] == eos.__version__
    assert facts["isa"] == eos.isa
    assert int(facts["available_threads"]) >= 1
    assert {"compiler", "flags", "eigen", "python", "numpy", "xarray", "h5netcdf", "matplotlib"} <= set(facts)


@pytest.mark.parametrize("arguments", [["info"], ["--version"], ["reproduce", "nobody"]])
def test_what_computes_nothing_loads_nothing(arguments):
    script = (
        "import sys\nfrom eosfast import cli\n"
        f"try: cli.main({arguments!r})\nexcept SystemExit: pass\n"
        "print(*sorted({'matplotlib', 'xarray', 'tqdm'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1].strip() == ""


def test_reproduce_one_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ahn2023, "verify", lambda progress: [compare("T1", "one is one", "derived", 1.0, 1.0, 0.0)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ahn2023").mkdir()
    (tmp_path / "ahn2023/mine.txt").write_text("mine")
    for _ in range(2):  # a second time, the files are replaced
        assert cli.main(["reproduce", "ahn2023", "--figure", "two_regimes"]) == 0
        out, err = capsys.readouterr()
        assert "T1  passed" in out
        assert "two_regimes.png" in out
        assert "ahn2023: 100%" in err  # progress
        names = {"two_regimes.png", "two_regimes.nc", "checks.txt", "checks.csv", "mine.txt"}
        assert {path.name for path in (tmp_path / "ahn2023").iterdir()} == names
    assert [path.name for path in tmp_path.iterdir()] == ["ahn2023"]
    assert (tmp_path / "ahn2023/checks.txt").read_text() in out
    with (tmp_path / "ahn2023/checks.csv").open() as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["T1"]


@pytest.mark.parametrize("command", [["verify"], ["reproduce", "ahn2023", "--figure", "two_regimes", "--out", "here"]])
def test_a_failed_check_is_status_1(command, tmp_path, monkeypatch, capsys):
    checks = [compare("T1", "one is one", "derived", 1, 1, 0), compare("T2", "one is two", "derived", 1, 2, 0.5)]
    monkeypatch.setattr(ahn2023, "verify", lambda progress: checks)
    for name in papers.NAMES[1:]:
        monkeypatch.setattr(getattr(papers, name), "verify", lambda progress: [])
    monkeypatch.chdir(tmp_path)
    assert cli.main(command) == 1
    out = capsys.readouterr().out
    assert "T1  passed" in out
    assert "T2  FAILED" in out
    assert "1 of 2 checks passed" in out


@pytest.mark.slow
def test_verify_prints_every_check(ahn2023_checks):
    result = call("verify", "ahn2023")
    assert result.returncode == 0
    assert result.stderr == ""  # no terminal, no progress
    printed = {
        line.split()[0] for line in result.stdout.splitlines() if " passed " in line and not line.startswith(" ")
    }
    assert printed >= {check.id for check in ahn2023_checks}


@pytest.mark.slow
def test_reproduce_everything(tmp_path):
    started = time.monotonic()
    result = call("reproduce", "ahn2023", "--out", tmp_path / "deep" / "er", cwd=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    written = {path.name for path in (tmp_path / "deep" / "er").iterdir()}
    figures = {f"{name}.{suffix}" for name in ahn2023.FIGURE_NAMES for suffix in ("png", "nc")}
    assert written == figures | {"checks.txt", "checks.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert "ahn2023: 100%" in result.stderr
    assert (tmp_path / "deep" / "er" / "checks.txt").read_text() in result.stdout
    assert time.monotonic() - started < 200 * SLOWNESS  # 60 s are promised on 2 free cores; a test machine may be busy


def test_ctrl_c_ends_with_one_line(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "reproduce", "ahn2023", "--figure", "fig1", "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        seen = ""
        while "step sizes" not in seen:  # the bar of the simulations
            character = process.stderr.read(1)
            assert character, seen
            seen += character
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        out, err = process.communicate(timeout=20 * SLOWNESS)
    finally:
        process.kill()
    assert process.returncode == 130
    assert time.monotonic() - started < 5 * SLOWNESS
    assert out == ""
    assert "Traceback" not in err
    assert err.endswith("eosfast: interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["1", ""])
def buffering(request):
    """The environment of a process that writes at once, and of one that writes in the end."""
    return os.environ | {"PYTHONUNBUFFERED": request.param}


def test_a_reader_that_leaves_is_no_error(buffering):
    process = subprocess.Popen(
        [*COMMAND, "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=buffering
    )
    process.stdout.close()
    err = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert err == ""
    assert process.returncode in (0, 1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_an_output_that_is_full_is_one_line(buffering):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        out = subprocess.run([*COMMAND, "info"], stdout=full, stderr=subprocess.PIPE, env=buffering, check=False)
        blind = subprocess.run([*COMMAND, "inof"], stderr=full, env=buffering, check=False)
    assert out.returncode == blind.returncode == 2
    assert out.stderr.decode().count("\n") == 1
    assert out.stderr.startswith(b"eosfast: ")
    assert b"No space left" in out.stderr


def test_a_name_that_the_terminal_cannot_show(tmp_path):
    pytest.importorskip("zarr", reason="stores need Zarr")
    (tmp_path / "spec.toml").write_text(
        'num_steps = 3\nmodel = {type = "SingleNeuron"}\noptimizer = {type = "GD"}\ngrid = {lr = [0.1]}\n'
    )
    out = subprocess.run(
        [*COMMAND, "sweep", "spec.toml", "--store", "größe.zarr"],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert out.returncode == 0, out.stderr
    assert out.stdout.endswith(rb"the result is in gr\xf6\xdfe.zarr" + os.linesep.encode())
    assert (tmp_path / "größe.zarr").is_dir()
