"""Whether the core under test was compiled with sanitizers (presets `sanitize`, `tsan`), and what that changes here.

Sanitised code is up to twenty times slower and takes memory for itself: times get more room, and a test of memory is
skipped by name, with the reason.
"""

from __future__ import annotations

import re

import pytest

import eosfast as eos

_FOUND = re.search(r"-fsanitize=(\S+)", eos.build_info()["flags"])
SANITIZERS = frozenset(_FOUND[1].split(",")) if _FOUND else frozenset()  # "address", "undefined", "thread"

SLOWNESS = 20 if SANITIZERS else 1


def not_under(*sanitizers: str, reason: str) -> pytest.MarkDecorator:
    """Skip a test in a build with one of these sanitizers."""
    present = SANITIZERS.intersection(sanitizers)
    return pytest.mark.skipif(bool(present), reason=f"-fsanitize={','.join(sorted(present))}: {reason}")
