"""Rules of the house that no single file shows: what may know what, how long files are, which facts must agree."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import eosfast as eos
from eosfast._dispatch import core

ROOT = Path(__file__).parents[1]
CORE = [*ROOT.glob("cpp/include/**/*.*"), *ROOT.glob("cpp/src/**/*.*")]
HEADERS = sorted(ROOT.glob("cpp/**/*.hpp"))
PACKAGE = sorted((ROOT / "python/eosfast").rglob("*.py"))
MODULES = [*PACKAGE, *sorted(ROOT.glob("tests/*.py")), *sorted(ROOT.glob("bench/**/*.py"))]

# A file over its budget says why in its first comment or docstring, in a sentence that begins so.
EXCUSE = "Longer than"


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def is_excused(file: Path) -> bool:
    return any(EXCUSE in line for line in file.read_text().splitlines()[:12])


def num_lines(file: Path) -> int:
    return len(file.read_text().splitlines())


# ---------------------------------------------------------------------------------------------------------- the storeys


@pytest.mark.parametrize("file", CORE, ids=name_of)
def test_the_core_does_not_know_python(file: Path) -> None:
    assert not re.search(r"pybind11|Python\.h|\bPyObject\b", file.read_text())


def test_the_build_lists_every_source() -> None:
    listed = set(re.findall(r"cpp/(?:src|bindings)/\w+\.cpp", (ROOT / "CMakeLists.txt").read_text()))
    assert listed == {name_of(file) for file in ROOT.glob("cpp/*/*.cpp")}


def test_imports_are_light() -> None:
    heavy = {"xarray", "matplotlib", "tqdm", "pandas", "scipy", "h5netcdf", "h5py"}
    script = f"import sys, eosfast; print(*sorted({heavy!r} & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.split() == []


# -------------------------------------------------------------------------------------------------------------- lengths


@pytest.mark.parametrize("file", HEADERS, ids=name_of)
def test_headers_are_short(file: Path) -> None:
    assert num_lines(file) <= 300 or is_excused(file)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_modules_are_short(file: Path) -> None:
    assert num_lines(file) <= 400 or is_excused(file)


@pytest.mark.parametrize("file", PACKAGE, ids=name_of)
def test_functions_are_short(file: Path) -> None:
    """At most 50 lines, the docstring not counted: a thorough one shall cost nothing."""
    long = {}
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring
            if length > 50:
                long[node.name] = length
    assert not long or is_excused(file), long


def test_no_file_is_a_drawer_for_everything() -> None:
    folders = (ROOT / name for name in ("cpp", "python", "tests", "bench"))
    names = {path.stem.strip("_").lower() for folder in folders for path in folder.rglob("*")}
    assert names.isdisjoint({"util", "utils", "helper", "helpers", "common", "misc", "tools"})


# ------------------------------------------------------------------------------------------------ facts that must agree


def test_versions_agree() -> None:
    assert eos.build_info()["version"] == eos.__version__
    assert re.search(rf"^## \[?{re.escape(eos.__version__)}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_distribution_has_the_version_of_the_package() -> None:
    try:
        installed = importlib.metadata.version("eosfast")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("eosfast was not installed by pip (the tests run in the build tree of a CMake preset)")
    assert installed == eos.__version__


def test_the_installed_package_is_this_source_tree() -> None:
    """Tests run on the installed package; one that was installed before the last change would be tested in vain."""
    installed = Path(eos.__file__).parent
    stale = [
        name_of(file)
        for file in PACKAGE
        if (installed / file.relative_to(ROOT / "python/eosfast")).read_text() != file.read_text()
    ]
    assert not stale, "install again: pip install ."


def test_the_stub_names_every_function_of_the_core() -> None:
    stub = ast.parse((ROOT / "python/eosfast/_core.pyi").read_text())
    declared = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    assert declared == {name for name in dir(core) if not name.startswith("_")}


def test_eigen_is_whole_and_unmodified() -> None:
    """The sum of third_party/README.md: sha256 of the lines that `sha256sum` prints for the sorted files."""
    folder = ROOT / "third_party/eigen"
    facts = dict(re.findall(r"^(\w+) = (.*)$", (folder / "VERSION").read_text(), re.MULTILINE))
    names = sorted(path.relative_to(folder).as_posix() for path in (folder / "Eigen").rglob("*") if path.is_file())
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == facts["tree_sha256"]
    assert eos.build_info()["eigen"] == facts["version"]
