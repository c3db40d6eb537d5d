"""Digits and CIFAR-10: what the shipped images hold, and what is read from files in the two official formats."""

import io
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

import eosfast as eos
from eosfast.datasets import cifar10, digits

BATCHES = [f"data_batch_{k}" for k in range(1, 6)]
PER_BATCH = 12


def images(batch):
    """Return labels and pixels of a small batch; every class occurs in each."""
    rng = np.random.default_rng(batch)
    labels = np.append(np.arange(10), rng.integers(10, size=PER_BATCH - 10))
    return rng.permutation(labels), rng.integers(256, size=(PER_BATCH, 3072), dtype=np.uint8)


def of_python_2(labels, pixels, entry=b""):
    """Return the pickle (protocol 2) that Python 2 and its NumPy wrote, assembled by hand from the opcodes."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # noqa: E731 (SHORT_BINSTRING)
    integer = lambda k: b"K" + bytes([k]) if k < 256 else b"J" + struct.pack("<i", k)  # noqa: E731
    rows, columns = pixels.shape
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n" + b"cnumpy\nndarray\n" + b"K\x00\x85" + short(b"b") + b"\x87R"
        + b"(K\x01" + integer(rows) + integer(columns) + b"\x86"
        + b"cnumpy\ndtype\n" + short(b"u1") + b"K\x00K\x01\x87R"
        + b"(K\x03" + short(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        + b"\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(integer(int(label)) for label in labels) + b"e"
    return (
        b"\x80\x02}(" + short(b"batch_label") + short(b"training batch 1 of 5") + short(b"labels") + listed
        + short(b"data") + array + short(b"filenames") + b"](" + short(b"one_s_000001.png") + b"e" + entry + b"u."
    )  # fmt: skip


def binary(labels, pixels):
    return np.column_stack([labels.astype(np.uint8), pixels]).tobytes()


def with_python_3(protocol, convert=list):
    def write(labels, pixels):
        return pickle.dumps({b"labels": convert(labels), b"data": pixels, b"filenames": [b"a"]}, protocol=protocol)

    return write


def as_numpy_1(labels, pixels):
    return with_python_3(2)(labels.tolist(), pixels).replace(b"numpy._core", b"numpy.core")


def text_keys(labels, pixels):
    return pickle.dumps({"labels": labels.tolist(), "data": np.asfortranarray(pixels)}, protocol=4)


WRITERS = {
    "python 2": of_python_2,
    "protocol 2, NumPy 1": as_numpy_1,
    **{f"protocol {k}": with_python_3(k, np.ndarray.tolist) for k in (0, 1, 2, 3, 4, 5)},
    "labels as scalars": with_python_3(4),
    "labels as an array": with_python_3(2, np.asarray),
    "text keys, columns first": text_keys,
    "binary": binary,
}


def folder_of(root, write=of_python_2, names=BATCHES):
    """Write batches 1, 2, ... into the folder that the official archives unpack to."""
    suffix = ".bin" if write is binary else ""
    folder = root / ("cifar-10-batches-bin" if write is binary else "cifar-10-batches-py")
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        (folder / (name + suffix)).write_bytes(write(*images(k + 1)))
    (folder / "readme.html").write_text("")
    return folder


ALL_LABELS = np.concatenate([images(k)[0] for k in range(1, 6)])
ALL_PIXELS = np.concatenate([images(k)[1] for k in range(1, 6)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("cifar"))


# --------------------------------------------------------------------------------------------------------------- digits


def test_digits_are_the_1797_images_of_the_test_set():
    data = digits(classes=None)
    assert (data.X.shape, data.y.shape) == ((1797, 64), (1797, 10))
    np.testing.assert_array_equal(data.y.sum(axis=0), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    np.testing.assert_array_equal(data.y.sum(axis=1), 1)
    np.testing.assert_array_equal(np.unique(data.X), np.arange(17) / 16)
    assert data.X.sum() * 16 == 561718
    # The first line of the original file, the image of a zero.
    zero = """0 0 5 13 9 1 0 0  0 0 13 15 10 15 5 0  0 3 15 2 0 11 8 0  0 4 12 0 0 8 8 0
              0 5 8 0 0 9 8 0  0 4 11 0 1 12 7 0  0 2 14 5 10 12 0 0  0 0 6 13 10 0 0 0"""
    np.testing.assert_array_equal(16 * data.X[0], np.array(zero.split(), dtype=float))
    assert data.y[0].argmax() == 0


def test_two_digits_are_labelled_by_sign_and_more_by_columns():
    everything = digits(classes=None)
    label = everything.y.argmax(axis=1)
    pair = digits(classes=(8, 3))
    np.testing.assert_array_equal(pair.X, everything.X[(label == 3) | (label == 8)])
    np.testing.assert_array_equal(pair.y, np.where(label[(label == 3) | (label == 8)] == 8, 1.0, -1.0))
    three = digits(classes=np.array([4, 9, 1]), n=100)
    rows = np.flatnonzero(np.isin(label, [1, 4, 9]))[:100]
    np.testing.assert_array_equal(three.X, everything.X[rows])
    np.testing.assert_array_equal(np.array([4, 9, 1])[three.y.argmax(axis=1)], label[rows])
    assert digits() == digits(classes=[0, 1])
    assert digits().y.sum() == 178 - 182


def test_digits_have_a_recipe_and_are_not_random():
    data = digits(classes=[3, 8], n=50)
    assert data.recipe == {"name": "digits", "classes": (3, 8), "n": 50}
    assert repr(data) == "digits(classes=(3, 8), n=50)"
    assert eos.datasets.from_recipe({"name": "digits", "classes": [3, 8], "n": 50}) == data
    assert data.with_seed(4) is data
    assert digits(classes=None).recipe["classes"] is None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"classes": (0, 10)}, ValueError, ["classes", "from 0 to 9", "10"]),
        ({"classes": (0, -1)}, ValueError, ["classes", "-1"]),
        ({"classes": (1, 1)}, ValueError, ["classes", "different", "(1, 1)"]),
        ({"classes": (1,)}, ValueError, ["classes", "two or more"]),
        ({"classes": 3}, TypeError, ["classes", "sequence", "3"]),
        ({"classes": "01"}, TypeError, ["classes", "sequence", "'01'"]),
        ({"classes": ("zero", 1)}, TypeError, ["classes", "int", "'zero'"]),
        ({"classes": (0.0, 1.0)}, TypeError, ["classes", "int", "0.0"]),
        ({"n": 0}, ValueError, ["n", ">= 1", "0"]),
        ({"n": 2.0}, TypeError, ["n", "int", "2.0"]),
        ({"n": 361}, ValueError, ["n", "360", "361"]),
    ],
)
def test_digits_refuses(arguments, error, words):
    with pytest.raises(error) as caught:
        digits(**arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# ------------------------------------------------------------------------------------------------------------- CIFAR-10


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_format_gives_the_training_batches_in_order(tmp_path, write):
    folder = folder_of(tmp_path, write)
    data = cifar10(tmp_path)
    np.testing.assert_array_equal(data.y.argmax(axis=1), ALL_LABELS)
    np.testing.assert_array_equal(data.y.sum(axis=1), 1)
    np.testing.assert_allclose((data.X + 1) * 127.5, ALL_PIXELS, rtol=1e-13, atol=1e-13)
    assert np.abs(data.X).max() <= 1
    assert cifar10(str(folder)) == data


def test_python_batches_are_preferred_to_binary_ones_but_not_if_some_are_missing(tmp_path):
    part = folder_of(tmp_path, names=BATCHES[:2])
    whole = folder_of(tmp_path, binary)
    (whole / "data_batch_1.bin").write_bytes(binary(*images(9)))
    assert cifar10(tmp_path).y.argmax(axis=1)[:PER_BATCH].tolist() == images(9)[0].tolist()
    for k in (3, 4, 5):
        (part / f"data_batch_{k}").write_bytes(of_python_2(*images(k)))
    np.testing.assert_array_equal(cifar10(tmp_path).y.argmax(axis=1), ALL_LABELS)


def test_classes_by_name_and_number(folder):
    everything = cifar10(folder)
    pair = cifar10(folder, classes=("automobile", 0))
    chosen = np.isin(ALL_LABELS, [0, 1])
    np.testing.assert_array_equal(pair.X, everything.X[chosen])
    np.testing.assert_array_equal(pair.y, np.where(ALL_LABELS[chosen] == 1, 1.0, -1.0))
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert cifar10(folder, classes=names) == everything
    three = cifar10(folder, classes=["truck", "cat", "frog"])
    np.testing.assert_array_equal(
        np.array([9, 3, 6])[three.y.argmax(axis=1)], ALL_LABELS[np.isin(ALL_LABELS, [3, 6, 9])]
    )


def test_a_subset_is_random_and_in_order(folder):
    everything = cifar10(folder)
    row_of = {row.tobytes(): i for i, row in enumerate(everything.X)}
    drawn = [[row_of[row.tobytes()] for row in cifar10(folder, n=30, seed=seed).X] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(rows == sorted(set(rows)) for rows in drawn)
    assert drawn[0] != list(range(30))
    assert cifar10(folder, n=60, seed=5) == everything
    data = cifar10(folder, n=30, seed=3)
    assert data.recipe == {"name": "cifar10", "root": str(folder), "classes": None, "n": 30, "seed": 3}
    assert data.with_seed(1) == cifar10(folder, n=30, seed=1)
    assert pickle.loads(pickle.dumps(data)).with_seed(3) == data
    assert not everything.random


def test_the_test_batch(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="test_batch"):
        cifar10(folder, test=True)
    labels, pixels = images(6)
    (tmp_path / "test_batch.bin").write_bytes(binary(labels, pixels))
    data = cifar10(tmp_path, test=True)
    np.testing.assert_array_equal(data.y.argmax(axis=1), labels)
    assert eos.datasets.from_recipe(data.recipe) == data


def test_missing_folders_and_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder") as caught:
        cifar10(tmp_path / "absent")
    assert "absent" in str(caught.value)
    with pytest.raises(FileNotFoundError, match="found nothing") as caught:
        cifar10(tmp_path)
    assert "cifar-10-batches-py/data_batch_1" in str(caught.value)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"found cifar-10-python\.tar\.gz"):
        cifar10(tmp_path)
    with pytest.raises(ValueError, match="unpacked"):
        cifar10(tmp_path / "cifar-10-python.tar.gz")
    folder = folder_of(tmp_path)
    (folder / "data_batch_3").unlink()
    (folder / "data_batch_5").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_3, data_batch_5") as caught:
        cifar10(tmp_path)
    assert str(folder) in str(caught.value)
    assert "data_batch_4" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"classes": ("airplane", "cta")}, ValueError, ["classes", "'cta'", "did you mean 'cat'"]),
        ({"classes": ("airplane", 0)}, ValueError, ["classes", "different"]),
        ({"classes": (1, 10)}, ValueError, ["classes", "9", "10"]),
        ({"classes": "airplane"}, TypeError, ["classes", "sequence"]),
        ({"n": 61}, ValueError, ["n", "60", "61"]),
        ({"n": 0}, ValueError, ["n", ">= 1"]),
        ({"seed": -1}, ValueError, ["seed", "-1"]),
        ({"test": 1}, TypeError, ["test", "True or False"]),
        ({"root": 3}, TypeError, ["root", "path", "3"]),
    ],
)
def test_cifar10_refuses(folder, arguments, error, words):
    with pytest.raises(error) as caught:
        cifar10(**{"root": folder} | arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)


class Evil:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def damaged(content, tmp_path):
    """Return the message about a first batch with this content."""
    folder = folder_of(tmp_path)
    (folder / "data_batch_1").write_bytes(content)
    with pytest.raises(ValueError, match="data_batch_1") as caught:
        cifar10(folder)
    return str(caught.value)


def test_a_pickle_cannot_run_anything(tmp_path):
    target = tmp_path / "touched"
    labels, pixels = images(1)
    content = pickle.dumps({"labels": labels.tolist(), "data": pixels, "more": Evil(target)}, protocol=2)
    message = damaged(content, tmp_path)
    assert "no batch needs" in message
    assert "pathlib" in message or "getattr" in message
    assert not target.exists()


def changed_function():
    """Return a pickle whose BUILD would set an attribute of a function it may call."""
    return b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}U\x07__doc__U\x01asb."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (of_python_2(*images(1))[:-100], ["truncated"]),
        (of_python_2(*images(1))[:20_000], ["truncated"]),
        (b"", ["truncated"]),
        (b"\x1f\x8b\x08 a gzip file", ["no pickle"]),
        (pickle.dumps([1, 2]), ["dictionary", "list"]),
        (pickle.dumps({b"data": 1, b"fine_labels": 2}), ["'labels'", "'fine_labels'"]),
        (with_python_3(4)(np.arange(3), images(1)[1]), ["3", "12"]),
        (with_python_3(4)(images(1)[0] + 5, images(1)[1]), ["labels", "from 0 to 9"]),
        (pickle.dumps({"labels": ["cat"], "data": images(1)[1][:1]}), ["labels", "integers", "cat"]),
        (with_python_3(4)(images(1)[0], images(1)[1][:, :1024]), ["uint8", "(12, 1024)"]),
        (with_python_3(4)(images(1)[0], images(1)[1].astype(float)), ["array of type 'f8'"]),
        (with_python_3(4)(images(1)[0], np.array([None])), ["array of type 'O8'"]),
        (with_python_3(4)(images(1)[0], images(1)[1].tolist()), ["uint8", "list"]),
        (pickle.dumps(print), ["builtins.print", "no batch needs"]),
        (pickle.dumps(b"x", protocol=2).replace(b"latin1", b"rot-13"), ["rot-13"]),
        (changed_function(), ["change a function"]),
        (b"\x80\x02U\x01aQ.", ["outside the file"]),
        (b"\x80\x02]r\xff\xff\xff\xffe.", ["damaged"]),  # the 2^32nd object: no memory is made ready for the others
        (b"\x80\x05\x96\x00\x00\x00\x00\x20\x00\x00\x00aaa.", ["truncated"]),  # 137 GB, it says
    ],
)
def test_damaged_and_foreign_pickles(tmp_path, content, words):
    message = damaged(content, tmp_path)
    assert all(word in message for word in words), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (binary(*images(1))[:-1], ["3073", "11", "3072", "truncated"]),
        (b"", ["3073", "0"]),
        (b"\x0a" + bytes(3072), ["labels", "from 0 to 9"]),
    ],
)
def test_damaged_binary_batches(tmp_path, content, words):
    folder = folder_of(tmp_path, binary)
    (folder / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_2\.bin") as caught:
        cifar10(folder)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    folder = folder_of(tmp_path)
    with (folder / "data_batch_4").open("r+b") as file:
        file.truncate(10**9)  # sparse: no byte is written
    with pytest.raises(ValueError, match="1000000000 bytes"):
        cifar10(folder)


def test_the_hand_made_pickle_is_one_that_python_reads():
    """The reference of these tests, against Python itself (whose NumPy no longer likes the 0 of Python 2)."""
    labels, pixels = images(1)
    content = of_python_2(labels, pixels).replace(b"U\x02u1K\x00K\x01", b"U\x02u1\x89\x88")
    batch = pickle.load(io.BytesIO(content), encoding="bytes")
    np.testing.assert_array_equal(batch[b"data"], pixels)
    assert batch[b"labels"] == labels.tolist()
    assert batch[b"batch_label"] == b"training batch 1 of 5"
