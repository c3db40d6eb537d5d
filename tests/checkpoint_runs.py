"""Runs whose checkpoints are tested, ways to stop them, and files that are forged."""

import hashlib
import io
import os
import zipfile

import numpy as np
import xarray as xr

import eosfast as eos
from reference import without_provenance

RNG = np.random.default_rng(0)
DATA = eos.Dataset(RNG.standard_normal((24, 6)), np.sign(RNG.standard_normal(24)))
WIDE = eos.Dataset(RNG.standard_normal((20, 40)), np.sign(RNG.standard_normal(20)))
QUADRATIC = eos.QuadraticRegression.random(20, 30, sigma_z=0.3, sigma_J=0.3, seed=1)
TANGENT = ("residual", "ntk_eigs", "ntk_sharpness", "z1", "q1_max", "q1_min")

CASES = {
    "neuron": {
        "model": eos.SingleNeuron(),
        "w0": [0.3, 15.0],
        "optimizer": eos.GD(0.01),
        "num_steps": 2500,
        "record": eos.Record(9, ("loss", "sharpness", "hessian_eigs", "weights", "distance_to_flow"), k=2),
    },
    "momentum, log2": {
        "model": eos.MeanModel(d=20),
        "optimizer": eos.HeavyBall(0.01, momentum=0.9),
        "num_steps": 3000,
        "record": eos.Record("log2", ("loss", "weights", "grad_norm")),
        "stop": eos.Stop(steady=False),
    },
    "normalised, steps listed": {
        "model": eos.ScalarProduct(depth=3, target=1.0),
        "w0": [1.0, 1.2, 0.7],
        "optimizer": eos.NormalizedGD(0.01),
        "num_steps": 2000,
        "record": eos.Record(np.arange(3, 1950, 53), ("weights", "directional_smoothness")),
    },
    "a cycle that is filled in": {
        "model": eos.ScalarProduct(depth=2, target=1.0),
        "w0": [1.4, 1.0],
        "optimizer": eos.GD(0.9),
        "num_steps": 5000,
        "record": eos.Record(13, ("loss", "weights", "sharpness", "distance_to_flow"), sharpness_every=39),
    },
    "a toy, converged": {
        "model": eos.SelfStabilization(),
        "optimizer": eos.GD(0.01, weight_decay=0.1),
        "num_steps": 3000,
        "record": eos.Record(20, ("loss", "weights")),
        "stop": eos.Stop(grad_norm=1e-3),
        "seed": 3,
    },
    "many data": {
        "model": eos.ThresholdNeuron(WIDE),
        "optimizer": eos.Nesterov(0.01, momentum=0.5),
        "num_steps": 300,
        "record": eos.Record(5, ("loss", "sharpness", "weights", "accuracy")),
    },
    "network, followed eigenvectors": {
        "model": eos.TwoLayerNetwork(DATA, width=5, activation="tanh", loss="mse"),
        "optimizer": eos.HeavyBall(0.05, momentum=0.5),
        "num_steps": 120,
        "record": eos.Record(1, ("loss", "sharpness", "hessian_eigs", *TANGENT), k=3, sharpness_every=2),
    },
    "network, float32": {
        "model": eos.MLP(DATA, widths=(6,), activation="tanh", dtype="float32"),
        "optimizer": eos.GD(0.2),
        "num_steps": 100,
        "record": eos.Record(3, ("loss", "sharpness", "weights", "distance_to_flow")),
    },
    "fewer samples than coordinates": {
        "model": eos.LogisticRegression(WIDE),
        "w0": np.linspace(-1.0, 1.0, 40),
        "optimizer": eos.GD(2.0, weight_decay=0.01),
        "num_steps": 150,
        "record": eos.Record(2, ("loss", "weights", "weight_norm", "sharpness", "distance_to_flow")),
    },
    "quadratic regression": {
        "model": QUADRATIC,
        "optimizer": eos.GD(0.02),
        "num_steps": 100,
        "record": eos.Record(1, ("loss", "sharpness", "ntk_sharpness", "z1", "relative_progress")),
    },
    "linear network": {
        "model": eos.LinearNetwork(widths=(4, 5, 4), target=np.diag([1.0, 2.0, 3.0, 4.0])),
        "optimizer": eos.Nesterov(0.02, momentum=0.9),
        "num_steps": 100,
        "record": eos.Record(1, ("loss", "sharpness", "hessian_eigs", "distance_to_flow"), k=2),
    },
}


def renew_often(monkeypatch):
    """Let files be renewed whenever they could be."""
    monkeypatch.setattr("eosfast.checkpoint.PERIOD", 0.0)
    monkeypatch.setattr("eosfast.checkpoint.SHARE", 1e9)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def in_folder(file):
    """Return the names of all files beside one."""
    return sorted(path.name for path in file.parent.iterdir())


def assert_same(run, expected):
    xr.testing.assert_identical(without_provenance(run), without_provenance(expected))
    for name, values in expected.variables.items():
        assert values.dtype == run[name].dtype
        assert np.ascontiguousarray(values).tobytes() == np.ascontiguousarray(run[name]).tobytes()
    assert {**run.attrs, "wall_seconds": 0, "created": ""} == {**expected.attrs, "wall_seconds": 0, "created": ""}


class Stops:
    """Instead of the n-th renewal of a file comes Ctrl-C: what is on the disk is what a kill would leave there."""

    def __init__(self, monkeypatch):
        self.real, self.left, self.renewals = os.replace, -1, 0
        monkeypatch.setattr(os, "replace", self)

    def __call__(self, source, target):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        self.real(source, target)
        self.renewals += 1


def forged(content, change):
    """Return the archive with other arrays, and the checksum that belongs to them. A value that is bytes, and no array,
    is a whole member.
    """
    with np.load(io.BytesIO(content)) as archive:
        arrays = dict(archive)
    change(arrays)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            if isinstance(array, bytes):
                member.write(array)
            else:
                np.save(member, array)
            archive.writestr(f"{name}.npy", member.getvalue())
        archive.comment = b"0" * 64
    return sealed(stream.getvalue())


def sealed(archive):
    """Return the bytes with the checksum that belongs to them: the last 64, over all the others and 64 zeros."""
    whole = archive[:-64] + b"0" * 64
    return whole[:-64] + hashlib.sha256(whole).hexdigest().encode()
