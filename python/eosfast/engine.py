"""Who does the blocks of a sweep: this process, with its threads, or any `concurrent.futures.Executor`.

What travels to another process is the job, as plain values, and the path of the store, which the worker itself fills;
without a store, the results of the block travel back. A job with much data travels once to each worker: the others of
its blocks name it by its digest, and a worker that does not have it asks.
"""

from __future__ import annotations

import hashlib
import pickle
import uuid
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from eosfast._dispatch import isa
from eosfast.arguments import Flag, shown
from eosfast.blocks import layout, shard_of
from eosfast.progress import reporter
from eosfast.results import load_xarray
from eosfast.store import Store, checked_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import xarray

    from eosfast.blocks import Blocks
    from eosfast.job import Arrays, Job

    Crew = tuple[Executor | None, Callable[[], Executor] | None]
    """An executor that somebody else closes, a function that makes one, or both."""

    Deliver = Callable[[int, Arrays | None], None]
    """Told of each finished block: its results, or None if the worker has stored them."""

MOST_REBUILDS = 3
"""So often in a row an executor that breaks before it finished a block is made anew."""

SMALL_BYTES = 2**16
"""A job that is pickled into at most so many goes with every block."""

BYTES_UNDER_WAY = 2**28
"""Larger ones are on their way at the same time as often as this allows, and once at least."""

DONE, INTERRUPTED, UNKNOWN = "done", "interrupted", "unknown job"
"""What a worker says of a block."""


def here(
    job: Job,
    store: Store,
    todo: Iterable[int],
    *,
    num_threads: int,
    poll: Callable[[int], object] | None,
    stopping: Callable[[], bool],
) -> bool:
    """Do the blocks one after the other in this process; return whether Ctrl-C or `stopping` ended that."""
    done = 0
    try:
        for block in todo:
            if stopping():
                return True
            before = done
            report = (lambda finished, before=before: poll(before + finished)) if poll else None
            arrays, interrupted = job.run(store.blocks.region(block), num_threads, report)
            if interrupted:
                return True
            store.write(block, arrays)
            done += store.blocks.runs_in(block)
            if poll:
                poll(done)
    except KeyboardInterrupt:  # between the runs of two blocks
        return True
    return False


class Elsewhere:
    """Blocks done by an executor."""

    def __init__(self, job: Job, blocks: Blocks, store: Store | None, num_threads: int) -> None:
        self.payload = pickle.dumps((job, blocks), protocol=5)
        self.small = len(self.payload) <= SMALL_BYTES
        self.blocks, self.store = blocks, store
        where = str(store.path) if store else None
        # A task of its own for each call: Dask keeps what it has done, and the store may be gone since.
        self.task = (hashlib.sha256(self.payload).hexdigest(), where, num_threads, isa, uuid.uuid4().hex)

    def go(
        self,
        crew: Crew,
        todo: Iterable[int],
        deliver: Deliver,
        *,
        poll: Callable[[int], object] | None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Do the blocks; return whether Ctrl-C or `stopping` ended that. An executor made here is closed here."""
        executor, factory = crew
        left, done, rebuilds = deque(todo), 0, 0
        own = executor is None
        if executor is None:
            assert factory is not None
            executor = _made_by(factory)
        try:
            while left:
                try:
                    for block, arrays in self._results(executor, left, stopping):
                        deliver(block, arrays)
                        done += self.blocks.runs_in(block)
                        rebuilds = 0
                        if poll:
                            poll(done)
                    return bool(left)
                except BrokenExecutor as error:
                    rebuilds += 1
                    if factory is None or rebuilds > MOST_REBUILDS:
                        raise RuntimeError(self._broken(error, len(left), factory is None)) from error
                    if own:
                        executor.shutdown(wait=False, cancel_futures=True)
                    executor, own = _made_by(factory), True
                except Exception as error:
                    error.add_note(self._kept())
                    raise
        except KeyboardInterrupt:
            return True
        finally:
            if own:
                executor.shutdown(wait=not left, cancel_futures=True)
        return False

    def _results(
        self, crew: Executor, left: deque[int], stopping: Callable[[], bool]
    ) -> Iterator[tuple[int, Arrays | None]]:
        """Yield finished blocks as they come, and take them from `left`."""
        waiting, asking, under_way = deque(left), deque[int](), dict[Future[Any], int]()
        sent = set[Future[Any]]()  # those that carry a large job
        most_sent = max(1, BYTES_UNDER_WAY // len(self.payload))
        ended = SimpleQueue[Future[Any]]()  # `wait` would look at all of them each time
        num_blocks = len(left)

        def hand_out() -> bool:
            if asking and len(sent) < most_sent:
                block, payload = asking.popleft(), self.payload
            elif waiting and len(under_way) + len(asking) < self._window(crew, num_blocks - len(left)):
                block, payload = waiting.popleft(), self.payload if self.small else b""
            else:
                return False
            future = crew.submit(do_block, block, payload, *self.task)
            under_way[future] = block
            if payload and not self.small:
                sent.add(future)
            future.add_done_callback(ended.put)
            return True

        try:
            while under_way or ((waiting or asking) and not stopping()):
                while not stopping() and hand_out():
                    pass
                try:
                    future = ended.get(timeout=0.2)
                except Empty:
                    continue
                block = under_way.pop(future)
                sent.discard(future)
                outcome, arrays = future.result()
                if outcome == INTERRUPTED:
                    raise KeyboardInterrupt
                if outcome == UNKNOWN:
                    asking.append(block)
                    continue
                left.remove(block)
                yield block, arrays
        finally:
            for future in under_way:
                future.cancel()

    def _window(self, crew: Executor, finished: int) -> int:
        """Blocks that are handed out at a time: not many at once to an unknown number of workers that will all ask for
        a large job.
        """
        workers = getattr(crew, "_max_workers", None)
        if isinstance(workers, int):
            return 4 * workers
        return 4096 if self.small else min(4096, 64 + 2 * finished)

    def _broken(self, error: BrokenExecutor, left: int, once: bool) -> str:
        what = f"the executor broke with {left} of {len(self.blocks)} blocks left ({type(error).__name__}: {error})"
        how = "; give executor_factory=, and it is made anew" if once else f", {MOST_REBUILDS + 1} times in a row"
        return f"{what}{how}. {self._kept()}"

    def _kept(self) -> str:
        if self.store is None:
            return "Nothing is kept: with store= the same call would go on"
        return f"What is done is in the store {str(self.store.path)!r}: the same call goes on from there"


def _made_by(factory: Callable[[], Executor]) -> Executor:
    made = factory()
    if not isinstance(made, Executor):
        raise TypeError(f"executor_factory must return a concurrent.futures.Executor, got {shown(made)}")
    return made


_LATEST: list[tuple[str, Job, Blocks]] = []
"""In a worker: the last job, so that its data are prepared once."""


def do_block(
    block: int, payload: bytes, digest: str, store: str | None, num_threads: int, wanted_isa: str, _call: str
) -> tuple[str, Arrays | None]:
    """Do a block, in whatever process this is; return what became of it, and its results if there is no store."""
    if isa != wanted_isa:
        raise RuntimeError(
            f"this worker would run eosfast for {isa!r}, the others for {wanted_isa!r}, and the last bits may differ: "
            f"set EOSFAST_ISA={wanted_isa} for all workers, or a variant that every processor has"
        )
    latest = next(iter(_LATEST), None)  # one look: other threads may replace it
    if latest is None or latest[0] != digest:
        if not payload:
            return UNKNOWN, None
        latest = (digest, *pickle.loads(payload))  # from the process that owns the executor
        _LATEST[:] = [latest]
    _, job, blocks = latest
    filled = Store(Path(store), job, blocks) if store else None
    if filled and filled.done(block):  # an engine may do a block twice
        return DONE, None
    arrays, interrupted = job.run(blocks.region(block), num_threads)
    if interrupted:
        return INTERRUPTED, None
    if filled is None:
        return DONE, arrays
    filled.write(block, arrays)
    return DONE, None


@dataclass(frozen=True)
class Ways:
    """How a sweep is to be done, checked."""

    path: Path | None
    crew: Crew | None
    part: tuple[int, int]
    overwrite: bool
    num_threads: int
    """Of each block."""

    def __post_init__(self) -> None:
        if self.overwrite and self.part[1] > 1:
            raise ValueError(
                f"overwrite must be False for a shard, got shard={self.part}: each part would erase what the others "
                "have done; remove the store before the first of them begins"
            )


def checked(
    store: object,
    executor: object,
    shard: object,
    overwrite: object,
    factory: object,
    num_threads: int,
    available: int,
) -> Ways:
    """Return the arguments of `eosfast.sweep` that say how; an executor's blocks have `num_threads` threads each, or 1,
    those of this process the `available` ones.
    """
    replaces = bool(Flag().check("overwrite", overwrite))
    part = shard_of(shard)
    for name, given in (("shard", shard is not None), ("overwrite", replaces)):
        if given and store is None:
            raise ValueError(f"{name} needs a store, got store=None")
    if executor is not None and not isinstance(executor, Executor):
        raise TypeError(f"executor must be a concurrent.futures.Executor or None, got {shown(executor)}")
    if factory is not None and not callable(factory):
        raise TypeError(f"executor_factory must be a function that makes an Executor, or None, got {shown(factory)}")
    crew = None if executor is None and factory is None else (executor, factory)
    path = None if store is None else checked_path(store)
    return Ways(path, crew, part, replaces, max(1, num_threads) if crew else available)


def in_parts(job: Job, ways: Ways, poll: Callable[[int], object] | None) -> tuple[Arrays, bool]:
    """Do a job by an executor, in memory; return the results and whether Ctrl-C ended that."""
    assert ways.crew is not None
    blocks = layout(job, ways.num_threads)
    out = job.pending(job.whole())

    def deliver(block: int, arrays: Arrays | None) -> None:
        for name, values in (arrays or {}).items():
            out[name][blocks.region(block)] = values

    elsewhere = Elsewhere(job, blocks, None, ways.num_threads)
    return out, elsewhere.go(ways.crew, range(len(blocks)), deliver, poll=poll)


def into_store(
    job: Job,
    ways: Ways,
    *,
    progress: bool,
    stopping: Callable[[], bool] = lambda: False,
    notes: dict[str, str] | None = None,
) -> xarray.Dataset:
    """Do what is left of a part of a job, into its store; return what is there then. `notes` are attributes of a store
    that is made here.
    """
    assert ways.path is not None
    load_xarray()
    store = Store.at(ways.path, job, lambda: layout(job, ways.num_threads), ways.overwrite, notes)
    mine = range(ways.part[0], len(store.blocks), ways.part[1])
    todo = [block for block in mine if not store.sound(block)]
    runs = sum(map(store.blocks.runs_in, mine))
    done_before = runs - sum(map(store.blocks.runs_in, todo))
    with reporter(progress, runs, "run", done_before) as poll:
        if ways.crew is None:
            stopped = here(job, store, todo, num_threads=ways.num_threads, poll=poll, stopping=stopping)
        else:
            elsewhere = Elsewhere(job, store.blocks, store, ways.num_threads)
            stopped = elsewhere.go(ways.crew, todo, lambda block, arrays: None, poll=poll, stopping=stopping)
    # Of several processes, the last one finishes: blocks of others that are missing are likely late ones.
    if not stopped and all(map(store.done, reversed(range(len(store.blocks))))):
        store.finish()
    found = store.dataset()
    found.attrs["status"] = "interrupted" if stopped else found.attrs["status"]
    return found
