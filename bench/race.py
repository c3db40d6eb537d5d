"""A race: a subject and its opponent take turns, round by round, so that both see the same machine.

`Race` measures one callable with pytest-benchmark and runs the opponent once before each round; the ratio of the two
medians goes into `extra_info` and into the table at the end of the run. With ``--benchmark-disable`` the subject
runs once, on a small problem.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pytest

from eosfast import build_info

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Ratio:
    """One line of the final table: what `subject` takes over what `against` takes, seconds or bytes."""

    question: str
    what: str
    subject: str
    against: str
    ratio: float
    goal: str


RATIOS = pytest.StashKey[list[Ratio]]()


def named_timer(option: Any) -> Callable[[], float]:
    """The value of --benchmark-timer as a function; its default is text."""
    return getattr(time, option.rpartition(".")[2]) if isinstance(option, str) else option.target


class Race:
    """Times a subject against an opponent; see `__call__`."""

    def __init__(self, benchmark: Any, request: pytest.FixtureRequest) -> None:
        self.benchmark, self.config = benchmark, request.config
        marker = request.node.get_closest_marker("benchmark")
        chosen = marker.kwargs.get("timer") if marker else None
        self.timer: Callable[[], float] = chosen or named_timer(self.config.getoption("benchmark_timer"))

    @property
    def short(self) -> bool:
        """Whether nothing is timed (--benchmark-disable), so that a small problem will do."""
        return bool(self.benchmark.disabled)

    def size(self, full: int, short: int) -> int:
        return short if self.short else full

    def __call__(
        self,
        subject: Callable[[], Any],
        against: Callable[[], Any] | None = None,
        *,
        names: tuple[str, str] = ("eosfast", "eosfast"),
        steps: tuple[float, float] | float = 1,
        question: str = "",
        what: str = "",
        goal: str = "",
        threads: int = 1,
        inverse: bool = False,
        **info: Any,
    ) -> Any:
        """Time `subject`, with a timed run of `against` before each round; return the subject's result.

        `steps` is the work of each (one number: the same for both). The ratio is that of the times per step, subject
        over against, or with `inverse` the other way round.
        """
        steps_subject, steps_against = steps if isinstance(steps, tuple) else (steps, steps)
        times: list[float] = []

        def opponent() -> None:
            if against is not None:
                began = self.timer()
                against()
                times.append(self.timer() - began)

        if self.short:
            return self.benchmark.pedantic(subject)
        began, cpu_began = time.perf_counter(), time.process_time()
        subject()  # compiles what is compiled on the first call
        opponent()
        once = self._once(subject)
        times.clear()
        result = self.benchmark.pedantic(subject, setup=opponent, rounds=self._rounds(once))
        median = self.benchmark.stats.stats.median
        self.benchmark.extra_info.update(
            build_info=build_info(),
            threads=threads,
            load=os.getloadavg()[0],
            processors_busy=(time.process_time() - cpu_began) / (time.perf_counter() - began),
            steps_per_second=steps_subject / median,
            seconds_per_step=median / steps_subject,
            **info,
        )
        if times:
            ratio = median / steps_subject * steps_against / statistics.median(times)
            if inverse:
                ratio, names = 1.0 / ratio, names[::-1]
            self.note(Ratio(question, what, *names, ratio, goal))
        return result

    def note(self, ratio: Ratio) -> None:
        """Put a ratio into the benchmark's record and into the table at the end."""
        self.benchmark.extra_info["ratio"] = asdict(ratio)
        self.config.stash[RATIOS].append(ratio)

    def _once(self, subject: Callable[[], Any]) -> float:
        began = self.timer()
        subject()
        return self.timer() - began

    def _rounds(self, once: float) -> int:
        """As many as pytest-benchmark would do: enough for --benchmark-max-time, at least --benchmark-min-rounds."""
        most = float(self.config.getoption("benchmark_max_time"))
        return max(int(self.config.getoption("benchmark_min_rounds")), min(math.ceil(most / max(once, 1e-9)), 10_000))
