"""Do the hot kernels still take as few instructions as before? Callgrind counts exactly, where clocks are noisy."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECK = Path(__file__).parent / "callgrind/check.py"


@pytest.mark.benchmark(timer=time.perf_counter)
def test_instruction_counts(race):
    race.benchmark.group = "instructions of the hot kernels"
    command = [sys.executable, str(CHECK)]
    options = {"capture_output": True, "text": True, "check": False}
    process = race.benchmark.pedantic(subprocess.run, (command,), options)
    if process.returncode == 2:
        pytest.skip(process.stderr.strip())
    print(process.stdout)
    assert process.returncode == 0, process.stderr
