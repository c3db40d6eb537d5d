"""Count the instructions of the hot kernels under callgrind and compare them with the committed numbers.

    python bench/callgrind/check.py            fails where a kernel takes over 2 % more instructions than before
    python bench/callgrind/check.py --update   writes the counts of today to counts.json

The numbers are the same from run to run and from machine to machine, but not from compiler to compiler: counts.json
says which one it was, and with another nothing is compared. Valgrind knows no AVX-512, so the drivers are built for
x86-64-v3. Cache misses and latencies do not show in a count; the benchmarks measure those.

Exit status: 0 all within bounds, 1 something grew, 2 nothing could be compared (stderr says why).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COUNTS = HERE / "counts.json"
ALLOWED_GROWTH = 0.02

# The flags of the variant x86_64_v3 in CMakeLists.txt, without OpenMP.
FLAGS = [
    *("-std=c++20", "-O3", "-march=x86-64-v3", "-mtune=generic", "-fvisibility=hidden"),
    *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-DEOSFAST_ISA=x86_64_v3", "-DEIGEN_MAX_ALIGN_BYTES=64", "-DEIGEN_DONT_PARALLELIZE", "-DEIGEN_MPL2_ONLY"),
]

NETWORK = (
    "activations",
    "feed_forward",
    "feed_forward_products",
    "output_loss",
    "panels",
    "two_layer_lanes",
    "two_layer_octet",
)
DRIVERS = {  # and the files of cpp/src that they need
    "neuron_sqrt": (),
    "neuron_logcosh": (),
    "threshold_neuron": (),
    "lane_tanh": (),
    "network_step": NETWORK,
    "network_xor": NETWORK,
    "network_products": NETWORK,
}


class CannotCompareError(Exception):
    """A tool is missing, or another one than that of the committed counts."""


def compiler() -> str:
    found = shutil.which(os.environ.get("CXX", "c++"))
    if not found:
        raise CannotCompareError("no C++ compiler (CXX, c++)")
    return found


def toolchain() -> dict[str, str]:
    if not shutil.which("valgrind"):
        raise CannotCompareError("valgrind is not installed")
    text = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True).stdout
    family = "GCC" if "Free Software Foundation" in text else "Clang"
    return {"compiler": f"{family} {text.splitlines()[0].partition(' ')[2]}", "flags": " ".join(FLAGS)}


def count(driver: str, folder: Path) -> int:
    """Instructions inside `measured_region` of one driver."""
    program, profile = folder / driver, folder / f"{driver}.out"
    include = ["-I", str(ROOT / "cpp/include"), "-isystem", str(ROOT / "third_party/eigen"), "-Wno-psabi"]
    sources = [HERE / f"{driver}.cpp", *(ROOT / f"cpp/src/{name}.cpp" for name in DRIVERS[driver])]
    subprocess.run([compiler(), *FLAGS, *include, *map(str, sources), "-o", str(program)], check=True)
    options = ["--tool=callgrind", "--toggle-collect=measured_region", f"--callgrind-out-file={profile}"]
    process = subprocess.run(["valgrind", *options, str(program)], capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(f"{driver} ended with {process.returncode}: wrong results, or a crash\n{process.stderr}")
    return int(re.search(r"^(?:summary|totals): (\d+)", profile.read_text(), re.MULTILINE).group(1))


def count_all() -> dict[str, int]:
    with tempfile.TemporaryDirectory() as folder:
        return {driver: count(driver, Path(folder)) for driver in DRIVERS}


def committed(tools: dict[str, str]) -> dict[str, int]:
    """The committed counts, if they are of these tools."""
    if not COUNTS.exists():
        raise CannotCompareError(f"{COUNTS.name} is missing; --update writes it")
    text = json.loads(COUNTS.read_text())
    for what, is_now in tools.items():
        if text[what] != is_now:
            raise CannotCompareError(f"counts.json is of another {what}: {text[what]!r}, here {is_now!r}")
    return text["instructions"]


def compare(before: dict[str, int], now: dict[str, int]) -> list[str]:
    """Print a table; return the kernels that grew too much."""
    grown = []
    for driver, instructions in now.items():
        change = instructions / before[driver] - 1.0 if driver in before else float("inf")
        print(f"{driver:20} {before.get(driver, 0):12,} -> {instructions:12,}  {100 * change:+7.2f} %")
        if change > ALLOWED_GROWTH:
            grown.append(driver)
        elif change < -ALLOWED_GROWTH:
            print(f"{'':20} fewer: commit the gain with --update")
    return grown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write counts.json instead of comparing with it")
    update = parser.parse_args().update
    try:
        tools = toolchain()
        before = {} if update else committed(tools)
    except CannotCompareError as error:
        print(f"not compared: {error}", file=sys.stderr)
        return 2
    now = count_all()
    if update:
        COUNTS.write_text(json.dumps({**tools, "instructions": now}, indent=2) + "\n")
        print(f"wrote {COUNTS.relative_to(ROOT)}: " + ", ".join(f"{name} {value:,}" for name, value in now.items()))
        return 0
    grown = compare(before, now)
    if grown:
        print(f"more than {ALLOWED_GROWTH:.0%} more instructions: {', '.join(grown)}", file=sys.stderr)
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
