"""Call functions in processes of their own, which may crash, hang or eat memory."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

Case = TypeVar("Case")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A call that did not return."""

    reason: str
    """Crashed, hung, or the exception."""


class Isolated(Generic[Case, Result]):
    """One process that calls `function` for one case after another; a new one after a failure."""

    def __init__(self, function: Callable[[Case], Result], limit: Callable[[Case], float]) -> None:
        self._function = function
        self._limit = limit
        self._process: multiprocessing.process.BaseProcess | None = None

    def __call__(self, case: Case) -> Result | Failure:
        if self._process is None:
            self._start()
        assert self._process is not None
        self._pipe.send(case)
        try:
            if self._pipe.poll(self._limit(case)):
                return self._pipe.recv()
            failure = Failure(f"hung for {self._limit(case):g} s")
        except (EOFError, ConnectionError):
            self._process.join()
            failure = Failure(f"crashed with exit code {self._process.exitcode}")
        self.close()
        return failure

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(self._function, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def map_with(
    workers: Sequence[Callable[[Case], Result]], cases: Iterable[Case]
) -> Iterator[tuple[Case, Result]]:
    """Call a free one of `workers` for each case; yield cases and results in order."""
    free = list(workers)

    def call(case: Case) -> tuple[Case, Result]:
        worker = free.pop()
        try:
            return case, worker(case)
        finally:
            free.append(worker)

    with ThreadPoolExecutor(len(free)) as threads:
        try:
            yield from threads.map(call, cases)
        finally:
            threads.shutdown(cancel_futures=True)


def _serve(function: Callable[[Case], object], pipe: Connection) -> None:
    while True:
        try:
            case = pipe.recv()
        except EOFError:
            return
        try:
            result = function(case)
        except Exception as error:
            result = Failure(f"{type(error).__name__}: {error}")
        pipe.send(result)
