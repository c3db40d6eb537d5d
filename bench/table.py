"""The tables of README.md from one or several results of pytest-benchmark.

    python bench/table.py results.json [more.json ...]

Of several results the median is printed: of each ratio, and of each time for a step.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any


def rows_of(files: list[Path]) -> list[dict[str, Any]]:
    return [row for file in files for row in json.loads(file.read_text())["benchmarks"]]


def ratios(rows: list[dict[str, Any]]) -> list[str]:
    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for row in rows:
        one = row["extra_info"].get("ratio")
        if one:
            key = tuple(one[name] for name in ("question", "what", "subject", "against", "goal"))
            found[key].append(one["ratio"])
    lines = ["| | question | ratio | goal | reached |", "|---|---|---|---|---|"]
    in_order = sorted(found.items(), key=lambda item: int(item[0][0][1:]))
    for (question, what, subject, against, goal), values in in_order:
        lines.append(f"| {question} | {what} | {subject} / {against} | {goal} | {statistics.median(values):.3g} |")
    return lines


def times(rows: list[dict[str, Any]]) -> list[str]:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if "seconds_per_step" in row["extra_info"]:
            found[row["group"], row["name"]].append(row["extra_info"]["seconds_per_step"])
    lines = ["| group | benchmark | ns per step |", "|---|---|---|"]
    for (group, name), values in found.items():
        lines.append(f"| {group} | `{name}` | {1e9 * statistics.median(values):.4g} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path, help="files written by --benchmark-json")
    rows = rows_of(parser.parse_args().results)
    print("\n".join([*ratios(rows), "", *times(rows)]))


if __name__ == "__main__":
    main()
