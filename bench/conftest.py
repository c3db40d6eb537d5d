"""Fixtures and the table at the end; how things are timed is written in `race.py`."""

from __future__ import annotations

import os
from typing import Any

import pytest

# Peers are compared on one thread; JAX and OpenBLAS read these when they start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("NPROC", "1")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import peers
from eosfast import build_info
from race import RATIOS, Race


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RATIOS] = []


def pytest_report_header() -> str:
    return "eosfast: " + ", ".join(f"{name} {value}" for name, value in build_info().items())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ratios = config.stash[RATIOS]
    if not ratios:
        return
    terminalreporter.section("ratios (subject / against, medians of interleaved rounds)")
    for one in ratios:
        comparison = f"{one.subject} / {one.against}"
        terminalreporter.write_line(f"{one.question:4} {one.what:42} {comparison:44} {one.ratio:10.3g}   {one.goal}")


@pytest.fixture
def race(benchmark: Any, request: pytest.FixtureRequest) -> Race:
    return Race(benchmark, request)


@pytest.fixture
def rival(request: pytest.FixtureRequest) -> peers.Peer:
    """The peer named by the test's parameter, or a skip that names what is missing."""
    peer: peers.Peer = request.param
    missing = peer.missing()
    if missing:
        pytest.skip(f"{peer.name}: {missing}")
    return peer
