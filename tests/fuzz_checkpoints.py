"""Damaged checkpoints of `train`: some at random, which the checksum betrays; most with the checksum that belongs to
them, so that what is behind it is reached: the readers of the archive, of the facts, of the columns, and in the core
of the state.
"""

from __future__ import annotations

import io
import json
import struct
from unittest import mock

import numpy as np
import pytest

import eosfast as eos
from checkpoint_runs import CASES, Stops, forged, in_folder, renew_often, sealed
from eosfast.results import STATUS

FEW_STEPS = {
    "neuron": 250,
    "momentum, log2": 40,
    "a cycle that is filled in": 2500,
    "network, followed eigenvectors": 24,
    "network, float32": 30,
    "quadratic regression": 24,
    "linear network": 20,
}

INTEGERS = (0, 1, -1, 2, 7, 255, 2**16, 2**31 - 1, 2**32, 2**53, 2**62, 2**63 - 1, -(2**63), -(2**62), 960, 1920)
REALS = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-200, 1e200, -1e308, float("nan"), float("inf"), -float("inf"))
FACTS = (
    *(None, True, 0, 1, -1, 3, 2**31, 2**53, 2**63, 10**400, -(2**70), 0.5, 1e300, float("nan"), float("inf")),
    *("", "a", "1", "1e400", "\0\n", "é" * 300, [], [0], {}, {"a": 1}, [[[]]], [1] * 1000),
)
SHAPES = ((), (0,), (1,), (10**12,), (2**63,), (-1,), (2**40, 2**40), (10**12, 0), (True,), (1,) * 40, (2.5,))
TYPES = ("|u1", "|b1", "<f8", ">f8", "<i8", "<U7", "|O", "<M8[ns]", "|V9", "<f2", "<c16")
OBJECTS = np.array([{}], dtype=object)  # stored as a pickle


class Checkpoints:
    """Checkpoints of runs half-way, nearly done and finished."""

    def __init__(self, folder):
        self.file = folder / "run.npz"
        self.written = [(name, content) for name in FEW_STEPS for content in self.contents(name)]

    def case(self, name):
        """Return the arguments of `train`."""
        return CASES[name] | {"num_steps": FEW_STEPS[name], "checkpoint": self.file}

    def contents(self, name):
        """Yield checkpoints of one run: at its end, and where it was stopped."""
        with pytest.MonkeyPatch.context() as patch:
            renew_often(patch)
            stops, renewals = Stops(patch), 0
            for share in (1.0, 0.3, 0.6, 0.9):
                self.file.unlink(missing_ok=True)
                stops.left = int(share * renewals) or -1
                eos.train(**self.case(name))
                renewals = renewals or stops.renewals
                yield self.file.read_bytes()

    def one(self, rng):
        """Go on from one."""
        name, content = rng.choice(self.written)
        kind = rng.random()
        has_its_checksum = kind > 0.2
        if not has_its_checksum:
            changed = damaged(rng, content)
        elif kind < 0.3:
            changed = sealed(damaged(rng, content[:-64]) + content[-64:])
        else:
            changed = forged(content, lambda arrays: forge(rng, arrays, rng.choice(self.written)[1]))
        self.file.write_bytes(changed)
        try:
            with mock.patch("os.fsync"):
                run = eos.train(**self.case(name))
        except ValueError as error:
            message = str(error)
            assert str(self.file) in message
            assert "\n" not in message
            assert len(message) < 5000
            assert self.file.read_bytes() == changed
        else:
            assert has_its_checksum or changed == content
            assert run.attrs["status"] in STATUS
            assert run.sizes["step"] <= FEW_STEPS[name] + 1
        assert in_folder(self.file) == [self.file.name]


def damaged(rng, content):
    """Return bytes with a few changes: others, fewer, more, or numbers where counts and lengths may be."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.choice(
            (rng.randint(0, len(out)), min(len(out), rng.randint(0, 60)), max(0, len(out) - rng.randint(0, 400)))
        )
        kind = rng.random()
        if kind < 0.3:
            out[at : at + 1] = rng.randbytes(1)
        elif kind < 0.5:
            out[at : at + 8] = struct.pack("<q", rng.choice(INTEGERS))
        elif kind < 0.7:
            out[at : at + 8] = struct.pack("<d", rng.choice(REALS))
        elif kind < 0.8:
            del out[at:]
        elif kind < 0.9:
            del out[at : at + rng.choice((1, 2, 4, 8, 16))]
        else:
            out[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 16)))
    return bytes(out)


def forge(rng, arrays, other):
    """Change the arrays of a checkpoint; `other` is another one."""
    kind = rng.random()
    if kind < 0.55:
        arrays["state"] = np.frombuffer(damaged(rng, arrays["state"].tobytes()), np.uint8)
    elif kind < 0.8:
        arrays["facts"] = forged_facts(rng, str(arrays["facts"]))
    elif kind < 0.85:
        with np.load(io.BytesIO(other)) as archive:
            name = rng.choice([name for name in arrays if name in archive])
            arrays[name] = archive[name]
    else:
        name = rng.choice(list(arrays))
        arrays[name] = forged_array(rng, arrays[name])
        if arrays[name] is None:
            del arrays[name]


def forged_facts(rng, text):
    """Return other facts as an array."""
    facts = json.loads(text)
    inside = rng.choice((facts, facts["outcome"], facts["outcome"], facts["identity"]))
    for _ in range(rng.randint(1, 2)):
        key = rng.choice([*inside, "new"])
        if rng.random() < 0.1:
            inside.pop(key, None)
        else:
            inside[key] = rng.choice(FACTS)
    kind = rng.random()
    if kind < 0.8:
        return np.array(json.dumps(facts))
    if kind < 0.9:
        return np.array(damaged(rng, text.encode()).decode(errors="replace"))
    return rng.choice((np.array("[" * 10**5), np.array(text.encode()), np.array([text]), np.array(3.0), OBJECTS))


def forged_array(rng, array):
    """Return another array, or the bytes of a file of one, or None."""
    kind = rng.random()
    if kind < 0.1:
        return None
    if kind < 0.2:
        return array[:-1] if array.ndim else array[None]
    if kind < 0.3:
        return np.concatenate([np.atleast_1d(array)] * 2)
    if kind < 0.4:
        return rng.choice((OBJECTS, array.astype("O"), array.view(array.dtype.newbyteorder()), np.array(0.0)))
    if kind < 0.6 and array.nbytes:
        changed = np.frombuffer(damaged(rng, array.tobytes()), np.uint8)
        return np.resize(changed, array.nbytes).view(array.dtype).reshape(array.shape)
    stream = io.BytesIO()
    if kind < 0.8:
        np.save(stream, array)
        return damaged(rng, stream.getvalue())
    about = {"descr": rng.choice(TYPES), "fortran_order": rng.choice((True, False, 3)), "shape": rng.choice(SHAPES)}
    rng.choice((np.lib.format.write_array_header_1_0, np.lib.format.write_array_header_2_0))(stream, about)
    return stream.getvalue() + array.tobytes()
