"""Specifications in TOML with changes in their text, or noise; and `refusal`, what every target makes of an error."""

from __future__ import annotations

from eosfast.specification import LAYOUT, SpecificationError, read

SPECS = [
    LAYOUT.replace("200", "4").replace("300", "5"),
    """
num_steps = 10
measure = ["loss", {type = "Mean", quantity = "loss", last = 3}]
w0 = [1.0, 2.0, 0.5]
[model]
type = "ScalarProduct"
depth = 3
[optimizer]
type = "HeavyBall"
momentum = 0.5
[grid]
lr = [0.1, 0.2]
[grid.zip.run]
model.target = [1, 2]
seed = {range = [0, 2]}
""",
    """
num_steps = 3
[model]
type = "MLP"
widths = [2, 3]
data = {name = "xor", dim = 2}
activation = {type = "Leaky", phi = {type = "HuberizedReLU", h = 0.5}, c = 0.5, k = 0.5}
[optimizer]
type = "GD"
lr = 0.1
[stop]
grad_norm = 1e-9
[grid]
widths = [[2, 3], [4]]
""",
    """
num_steps = 3
model = {type = "QuadraticRegression.diagonal", eigenvalues = [1.0, 2.0]}
optimizer = {type = "Nesterov", momentum = 0.1, lr = 1}
grid.model = [{type = "QuadraticRegression.random", D = 2, P = 2, sigma_z = 1, sigma_J = 1}]
""",
    """
num_steps = 3
model = {type = "LogisticRegression", data = {name = "digits", classes = [3, 5], n = 9}}
optimizer = {type = "NormalizedGD"}
grid = {lr = [1], data = [{name = "Dataset", X = [[1, 2], [3, 4]], y = [1, -1]}, {name = "two_point", gamma = 0.1}]}
""",
]

VALUES = [
    *("0", "1", "2", "-1", "3", "true", "false", "nan", "inf", "-inf", "1e308", "-1e308", "5e-324", "0.5", "-0.0"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "1099511627776"),
    *('""', '"a"', '"loss"', '"GD"', '"seed"', '"\\u0000"', '"\\n"', '"0.1"', '"xor"', '"é"', "1979-05-27", "12:30:00"),
    *(
        "[]",
        "[[]]",
        "[1, true]",
        "[[1], 2]",
        "[1, [2]]",
        "{}",
        '{type = "Leaky"}',
        '{name = "xor"}',
        "[1, 2, 3]",
        "[nan]",
    ),
    *("{linspace = [1, 2, 3]}", "{geomspace = [1, 2, 3]}", "{range = [1, 3]}", "{linspace = 3}", "{range = [1, 2, 3]}"),
    *("{linspace = [], range = []}", '[{type = "SingleNeuron"}]', '["relu"]', "[0.1, 0.2]", "[-1]", '{type = "GD"}'),
]

KEYS = [
    *(
        "num_steps",
        "seed",
        "measure",
        "model",
        "optimizer",
        "w0",
        "stop",
        "grid",
        "grid.zip",
        "grid.zip.run",
        "lr",
        "x",
    ),
    *(
        "type",
        "name",
        "data",
        "loss",
        "activation",
        "widths",
        "momentum",
        "linspace",
        "range",
        '"model.loss"',
        "w.x",
        "y",
    ),
    *('""', "w1", "depth", "diverged", "steady", "classes", "Q", "eigenvalues", "target", "model.type", '"a b"', "zip"),
]


def mutated(rng, text):
    """Return a text with a few random changes: of characters, values, keys, lines."""
    for _ in range(rng.randint(1, 4)):
        kind = rng.random()
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        if kind < 0.35:  # a value
            key, equals, _ = lines[at].partition("=")
            if equals:
                lines[at] = f"{key}= {rng.choice(VALUES)}"
        elif kind < 0.5:  # a value within a line
            words = lines[at].split(" ")
            words[rng.randrange(len(words))] = rng.choice(VALUES)
            lines[at] = " ".join(words)
        elif kind < 0.65:  # a key
            _, equals, value = lines[at].partition("=")
            lines[at] = f"{rng.choice(KEYS)} = {value if equals else rng.choice(VALUES)}"
        elif kind < 0.75:
            del lines[at]
        elif kind < 0.85:
            lines.insert(at, lines[rng.randrange(len(lines))] if lines else "")
        else:  # characters
            line = list(lines[at])
            where = rng.randrange(len(line) + 1)
            line[where : where + rng.randint(0, 2)] = rng.choice(
                ["", "[", "]", "{", "}", '"', "=", ".", "\x00", "é", "-"]
            )
            lines[at] = "".join(line)
        text = "\n".join(lines)
        if not text:
            return text
    return text


def refusal(kinds, work):
    """Return the message of the exception of one of these kinds that `work` raises, "" if it raises none."""
    try:
        work()
    except kinds as error:
        message = str(error)
    else:
        return ""
    assert message
    return message


class Specifications:
    """Specifications with changes in their text, and sometimes with ``--set``."""

    def __init__(self, folder):
        self.file = folder / "spec.toml"

    def one(self, rng):
        """Read one."""
        text = mutated(rng, rng.choice(SPECS))
        changes = [f"{rng.choice(KEYS)}={rng.choice(VALUES)}" for _ in range(rng.choice([0, 0, 0, 1, 2]))]
        self.file.write_text(text, encoding="utf-8")
        message = refusal(SpecificationError, lambda: read(self.file, changes))
        assert not message or message.startswith((f"{self.file}: ", "--set "))


class Noise:
    """Specifications that are noise."""

    def __init__(self, folder):
        self.file = folder / "noise.toml"

    def one(self, rng):
        """Read one."""
        content = bytearray(rng.choice(SPECS).encode())
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        self.file.write_bytes(bytes(content[: rng.randint(0, len(content))] if rng.random() < 0.2 else content))
        message = refusal(SpecificationError, lambda: read(self.file))
        assert not message or message.startswith(f"{self.file}: ")
