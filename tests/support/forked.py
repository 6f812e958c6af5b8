"""Child processes that begin with everything imported: one server for each test process imports, and forks them."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from tutelage.recipe.tune import TuneSection
from tutelage.tune import Progress, Step

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", "tutelage.tune", "tutelage.models.tiny", "tutelage.pipeline.asking"])


class Child:
    """A process of one thread in which ``target`` runs; what it returns is its exit code, ``said`` takes its errors."""

    def __init__(
        self, target: Callable[..., int], *args: Any, said: Path, environment: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._said = said
        self._process = FORKS.Process(target=_be, args=(target, args, str(said), dict(environment)))
        self._process.start()

    def wait(self, patience_s: float = 300) -> tuple[int | None, str]:
        """Return the exit code, or minus the signal, and the errors; None if it goes on."""
        self._process.join(patience_s)
        return self._process.exitcode, self._said.read_text()

    def kill(self) -> None:
        """End it, if it has not ended, and forget it."""
        self._process.kill()
        self._process.join()


def kill_at(
    step: int, follow: Callable[[Path, TuneSection], Iterator[Progress]], *, folder: Path, section: TuneSection
) -> None:
    """Let a child ``follow`` the training of ``section`` in ``folder``, and die by SIGKILL after ``step``."""
    child = Child(_die, step, follow, folder, section, said=folder.with_name(f"{folder.name}.errors"))
    code, errors = child.wait()
    child.kill()
    assert code == -signal.SIGKILL, errors


def _be(target: Callable[..., int], args: tuple[Any, ...], said: str, environment: dict[str, str]) -> None:
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.exit(target(*args))


def _die(
    step: int, follow: Callable[[Path, TuneSection], Iterator[Progress]], folder: Path, section: TuneSection
) -> int:
    for news in follow(folder, section):
        if isinstance(news, Step) and news.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
    return 0
