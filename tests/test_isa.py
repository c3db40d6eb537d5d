"""Instruction-set variants: each one that was built really runs; the dispatcher chooses rightly and refuses clearly.

A process has one variant, so the work is done by isa_probe.py in processes of its own: with EOSFAST_ISA on this
processor and, where qemu-x86_64-static is installed, on emulated processors that have no more than v2 or v3 (one
instruction too many ends such a run).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import eosfast as eos
from eosfast import _cpu
from eosfast._dispatch import choose_isa

VARIANTS: dict[str, frozenset[str]] = _cpu.variants()
PROBE = Path(__file__).with_name("isa_probe.py")
QEMU = shutil.which("qemu-x86_64-static")

# Three made-up variants and processors, for the rules of choice.
LEVELS = {"v2": frozenset({"sse"}), "v3": frozenset({"sse", "fma"}), "v4": frozenset({"sse", "fma", "avx512f"})}


def run_python(*arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter in a process of its own; `EOSFAST_ISA` is as given, not as in our own environment."""
    inherited = {name: value for name, value in os.environ.items() if name != "EOSFAST_ISA"}
    return subprocess.run(
        [*prefix, sys.executable, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def emulate(cpu: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter on an emulated processor, or skip the test where that cannot be done."""
    if QEMU is None:
        pytest.skip("qemu-x86_64-static is not installed")
    if "LD_PRELOAD" in os.environ:
        pytest.skip("a preloaded runtime (a sanitizer's) does not run under qemu-x86_64-static")
    prefix = (QEMU, "-cpu", cpu)
    # NumPy's OpenBLAS chooses a kernel that such a processor lacks unless it is told.
    environment["OPENBLAS_CORETYPE"] = "NEHALEM"
    if run_python("-c", "import numpy", prefix=prefix, **environment).returncode != 0:
        pytest.skip(f"NumPy itself does not run under qemu-x86_64-static -cpu {cpu}")
    return run_python(*arguments, prefix=prefix, **environment)


def report_of(process: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert process.returncode == 0, f"exit status {process.returncode}\n{process.stderr}"
    report: dict[str, Any] = json.loads(process.stdout)
    assert report["core_isa"] == report["isa"]
    assert report["tanh_error"] < 4e-16
    assert report["subnormals_survive"]
    return report


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    """What the probe reports for every variant that was built and runs on this processor."""
    runnable = [name for name, needs in VARIANTS.items() if needs <= _cpu.features()]
    return {name: report_of(run_python(str(PROBE), EOSFAST_ISA=name)) for name in runnable}


# ----------------------------------------------------------------------------------------------------- the variants run


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_runs(variant: str, reports: dict[str, dict[str, Any]]) -> None:
    if variant not in reports:
        pytest.skip(f"this processor lacks {', '.join(sorted(VARIANTS[variant] - _cpu.features()))}")
    assert reports[variant]["isa"] == variant


def test_bits_are_the_same_from_v3_up(reports: dict[str, dict[str, Any]]) -> None:
    with_fma = {name: report for name, report in reports.items() if "fma" in VARIANTS[name]}
    if len(with_fma) < 2:
        pytest.skip(f"variants with fused multiply-adds that were built and run here: {', '.join(with_fma) or 'none'}")
    (first, expected), *others = with_fma.items()
    for name, report in others:
        for kind in ("functions", "train", "sweep", "networks"):
            differing = [key for key, bits in report[kind].items() if bits != expected[kind][key]]
            assert not differing, f"{kind}: {name} and {first} differ in {differing}"


@pytest.mark.slow
@pytest.mark.parametrize(("cpu", "variant"), [("Nehalem", "x86_64_v2"), ("Haswell", "x86_64_v3")])
def test_dispatcher_picks_by_itself_and_runs_on_an_older_processor(
    cpu: str, variant: str, reports: dict[str, dict[str, Any]]
) -> None:
    if variant not in VARIANTS:
        pytest.skip(f"{variant} was not built (built: {', '.join(VARIANTS)})")
    report = report_of(emulate(cpu, str(PROBE)))
    assert report["isa"] == variant
    for kind in ("functions", "train", "sweep", "networks"):
        assert report[kind] == reports[variant][kind], f"{kind}: {variant} computes other bits on {cpu} than here"


# --------------------------------------------------------------------------------------------- the dispatcher's choices


def test_the_package_says_which_variant_it_runs() -> None:
    assert eos.isa in VARIANTS
    assert eos.build_info()["isa"] == eos.isa


@pytest.mark.parametrize(
    ("features", "chosen"), [("sse", "v2"), ("sse fma", "v3"), ("sse fma avx512f other", "v4"), ("sse avx512f", "v2")]
)
def test_the_richest_variant_that_runs_is_chosen(features: str, chosen: str) -> None:
    assert choose_isa(LEVELS, frozenset(features.split())) == chosen


def test_native_goes_first_and_a_forced_variant_before_it() -> None:
    variants = LEVELS | {"native": frozenset({"sse"})}
    processor = frozenset({"sse", "fma", "avx512f"})
    assert choose_isa(variants, processor) == "native"
    assert choose_isa(variants, processor, "v3") == "v3"


def test_a_variant_the_processor_cannot_run_is_refused() -> None:
    with pytest.raises(ImportError, match=r"'v4' needs .* missing here \(avx512f\); variants that run here: v2, v3"):
        choose_isa(LEVELS, frozenset({"sse", "fma"}), "v4")


def test_native_of_another_processor_is_refused() -> None:
    with pytest.raises(ImportError, match=r"another processor: 'native' needs .* \(fma, sse\); build eosfast on"):
        choose_isa({"native": frozenset({"sse", "fma"})}, frozenset())


def test_a_processor_below_every_variant_is_refused() -> None:
    with pytest.raises(ImportError, match=r"needs at least 'v2', but this processor lacks sse"):
        choose_isa(LEVELS, frozenset())


def test_an_unknown_variant_is_an_import_error_that_lists_those_built() -> None:
    process = run_python("-c", "import eosfast", EOSFAST_ISA="sse9")
    assert process.returncode == 1
    last_line = process.stderr.splitlines()[-1]
    assert last_line.startswith("ImportError: EOSFAST_ISA='sse9'")
    assert last_line.endswith(f"built: {', '.join(VARIANTS)}")


def test_an_empty_wish_is_no_wish() -> None:
    process = run_python("-c", "import eosfast; print(eosfast.isa)", EOSFAST_ISA="")
    assert process.stdout.strip() == choose_isa(VARIANTS, _cpu.features())


@pytest.mark.slow
@pytest.mark.parametrize("variant", [name for name, needs in VARIANTS.items() if "avx" in needs])
def test_an_older_processor_gets_an_import_error_not_a_crash(variant: str) -> None:
    process = emulate("Nehalem", "-c", "import eosfast", EOSFAST_ISA=variant)
    assert process.returncode == 1
    assert f"ImportError: EOSFAST_ISA={variant!r} needs processor features that are missing here" in process.stderr


def test_a_missing_core_is_an_import_error_that_says_what_to_do() -> None:
    process = run_python("-c", "import sys; sys.modules['eosfast._cpu'] = None; import eosfast")
    assert process.returncode == 1
    assert "ImportError: the compiled core of eosfast (module _cpu) is missing" in process.stderr
    assert "pip install" in process.stderr


# ----------------------------------------------------------------------------------------------------------- the border


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("nm") is None, reason="needs nm and ELF modules")
@pytest.mark.parametrize("module", ["_cpu", *(f"_core_{name}" for name in VARIANTS)])
def test_modules_export_their_init_function_alone(module: str) -> None:
    file = next(Path(_cpu.__file__).parent.glob(f"{module}.*.so"))
    listing = subprocess.run(["nm", "-D", "--defined-only", file], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in listing.splitlines()] == [f"PyInit_{module}"]
