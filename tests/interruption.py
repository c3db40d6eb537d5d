"""Ctrl-C for a call that would not end, in a process of its own: what is promised, and how it is sent."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from sanitizers import SANITIZERS, SLOWNESS

SECOND = SLOWNESS * 1.0  # within which Ctrl-C is to work


def words_after_ctrl_c(code: str, seconds: float = 2.0) -> list[str]:
    """Run `code`, send it Ctrl-C some seconds after it has printed "ready"; return the words that it prints then.

    It must do so within a second, and end well.
    """
    pipe = subprocess.PIPE
    loaded = f"import xarray\n{code}"  # what would else be imported at the first use, after "ready"
    with subprocess.Popen([sys.executable, "-c", loaded], stdout=pipe, stderr=pipe, text=True) as job:
        assert job.stdout.readline() == "ready\n"
        time.sleep(3 * seconds if SANITIZERS else seconds)
        job.send_signal(signal.SIGINT)
        began = time.perf_counter()
        words = job.stdout.readline().split()
        assert time.perf_counter() - began < SECOND
        assert job.wait(timeout=10 * SLOWNESS) == 0
        assert "Traceback" not in job.stderr.read()
    return words
