"""What all tests share: a header that says which build is tested, and settings that keep the machine out of it."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")  # figures are drawn, never shown

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadlines: a shared or sanitised machine may be slow at any moment. A failure prints how to repeat it.
settings.register_profile("eosfast", deadline=None, print_blob=True)
settings.load_profile("eosfast")


def pytest_report_header() -> str:
    """Print `build_info()`: a report of a failure then tells version, instruction set, compiler and flags."""
    import eosfast as eos

    return "eosfast: " + ", ".join(f"{name} {value}" for name, value in eos.build_info().items())


@pytest.fixture(scope="session")
def ahn2023_checks():
    """All checks of Ahn et al. 2023, computed once."""
    from eosfast.papers import ahn2023

    return ahn2023.verify()


@pytest.fixture
def call(capsys):
    """The command line in this process: arguments -> exit status, what it printed, what it complained of."""
    from eosfast import cli

    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def three_blocks(monkeypatch):
    """Make blocks of two rows of a grid so small that it would be one block."""
    from eosfast import engine
    from eosfast.blocks import Blocks

    monkeypatch.setattr(engine, "layout", lambda job, num_threads: Blocks(job.shape, (2, *job.shape[1:])))
