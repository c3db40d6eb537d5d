"""The stress test by hand (stress.py), for some seconds: it still works, and so does what it attacks."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("zarr")
pytest.importorskip("distributed")
if sys.platform != "linux":
    pytest.skip("attacks by what Linux offers", allow_module_level=True)

from stress import stress


@pytest.mark.slow
def test_a_short_attack(tmp_path):
    with (tmp_path / "log").open("w") as log:
        counts = stress(tmp_path, seconds=12, pause=2, seed=1, log=log, say=lambda line: None)
    assert counts["attacks"] >= 1
    assert counts["blocks"] >= 3
    assert counts["finished chunks lost"] == counts["finished chunks written again"] == 0
