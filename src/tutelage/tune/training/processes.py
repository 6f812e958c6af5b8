"""Processes that tune one model together: each computes the gradient of its share of a step, all make one update.

Data parallelism (Li et al. 2020, "PyTorch Distributed", section 3) without a wrapper around the model: every process
holds all of it, gradients are summed once a step, where they are collected, and the update is the same everywhere. The
main process alone writes files; the others see the same folder. Denominators are those of the whole step, so loss and
gradient are those of one process, but for dropout and noise: each process draws its own, as each micro-batch does.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from tutelage.errors import TrainingError
from tutelage.launch import place
from tutelage.seeds import derive_seed

Value = TypeVar("Value")

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}
"""How processes that compute on such devices speak to one another."""
PATIENCE = timedelta(days=1)
"""How long a process waits for another, which may be reading a teacher or writing a model. One that ends is noticed at
once: its connections close (gloo), or torchrun ends the others (NCCL)."""
AT_ONCE = 1 << 24
"""Numbers that are summed in one message: 64 MiB of float32."""


TRANSPORTS = ("/gloo/", "Connection closed by peer", "Connection reset by peer", "NCCL")
"""What the messages of torn connections have in them."""


class Processes:
    """This process, number ``rank`` of ``count``. All of them make the same calls in the same order; one process alone
    waits for nobody.

    Raises
    ------
    TrainingError: of every call: another process has ended, or cannot be reached.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def gather(self, value: Value) -> list[Value]:
        """Return the ``value`` of every process, in their order."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        with _in_words():
            distributed.all_gather_object(found, value)
        return found

    def from_main(self, make: Callable[[], Value]) -> Value:
        """Let the main process ``make`` something, and return in every process what it made."""
        found = self.gather(make() if self.is_main else None)[0]
        return found  # type: ignore[return-value]

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process through the block before the others, which find what it left on the disk."""
        if not self.is_main:
            self.gather(None)
        yield
        if self.is_main:
            self.gather(None)

    def require_same(self, make: Callable[[], object], what: str) -> None:
        """Raise :class:`TrainingError` unless every process makes the same; ``what`` it is, for people."""
        if self.count == 1:
            return
        found = self.gather(make())
        if other := next((rank for rank, value in enumerate(found) if value != found[0]), None):
            raise TrainingError(
                f"the processes have not the same {what}",
                received=f"process {other} has another than process 0",
                remedy="give all of them the same command, code, files and kind of machine, and a folder that all see",
            )

    def refuse(self, what: str, *, where: str) -> None:
        """Raise :class:`TrainingError` if there are others: ``what`` runs in one process."""
        if self.count > 1:
            remedy = "start it without torchrun"
            raise TrainingError(f"{what} runs in one process", where=where, received=f"{self.count}", remedy=remedy)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, of the same shapes everywhere, with their sums over the processes."""
        if self.count == 1:
            return
        for part in _parts(tensors):
            flat = torch.cat([tensor.flatten() for tensor in part])
            with _in_words():
                distributed.all_reduce(flat)
            for tensor, total in zip(part, torch.split(flat, [tensor.numel() for tensor in part]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def seed(self, seed: int) -> int:
        """Return the seed of this process: the main one has ``seed`` itself, so that it draws as one alone does."""
        return seed if self.is_main else derive_seed(seed, "process", self.rank)


ALONE = Processes()
"""A process that was started by itself."""


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started with this one, to compute on ``device``; a CUDA device belongs to one
    process. One alone joins nobody.

    Raises
    ------
    TrainingError: there are fewer devices than processes, all would take the same one, it is of another kind than
        :data:`BACKENDS`, or the others cannot be reached.
    """
    here = place()
    if here.count == 1:
        yield ALONE
        return
    if device.type not in BACKENDS:
        what = "several processes tune on CPUs or on CUDA devices"
        raise TrainingError(what, where="model.device", received=str(device), remedy="start it without torchrun")
    if device.type == "cuda":
        _own_device(device, here.local_rank)
    backend = BACKENDS[device.type]
    with _in_words():
        distributed.init_process_group(backend, timeout=PATIENCE)
    done = False
    try:
        yield Processes(here.rank, here.count)
        done = True
    finally:
        if done or backend == "gloo":  # NCCL would wait for the others, who wait for this one
            distributed.destroy_process_group()


def shares(sizes: Sequence[int], count: int) -> list[list[int]]:
    """Split rows of ``sizes`` tokens over ``count`` processes: the largest first, each to the one that has least.

    Inside a share they are in order; a share is empty where there are fewer rows than processes.
    """
    found: list[list[int]] = [[] for _ in range(count)]
    filled = [0] * count
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        least = filled.index(min(filled))
        found[least].append(index)
        filled[least] += sizes[index]
    return [sorted(share) for share in found]


def digest_of(tensors: Iterable[Tensor]) -> str:
    """Return a hash of the bits of all tensors: of each the sum of its bytes as whole numbers, which has no order."""
    sums = [tensor.detach().flatten().view(torch.uint8).sum(dtype=torch.int64).item() for tensor in tensors]
    return hashlib.sha256(repr(sums).encode()).hexdigest()


def _own_device(device: torch.device, local_rank: int) -> None:
    """Let this process compute on the CUDA device of its number."""
    if device.index is not None:
        what, remedy = "every process needs a device of its own", "set it to auto or cuda"
        raise TrainingError(what, where="model.device", received=str(device), remedy=remedy)
    if local_rank >= torch.cuda.device_count():
        raise TrainingError(
            "there are fewer CUDA devices than processes",
            received=f"{torch.cuda.device_count()} devices; this is process {local_rank} of this machine, from 0",
            remedy="start as many processes as there are devices, or set model.device to cpu",
        )
    torch.cuda.set_device(local_rank)


def _parts(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbors of at most :data:`AT_ONCE` numbers together; a larger tensor stands alone."""
    part: list[Tensor] = []
    for tensor in tensors:
        if part and sum(one.numel() for one in part) + tensor.numel() > AT_ONCE:
            yield part
            part = []
        part.append(tensor)
    if part:
        yield part


@contextmanager
def torn_in_words() -> Iterator[None]:
    """Turn what is raised in the block because another process has ended into a :class:`TrainingError`; all else
    passes."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, distributed.DistError) or any(name in str(error) for name in TRANSPORTS):
            raise _gone(error) from error
        raise


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:  # what torch.distributed raises, torn connections among it
        raise _gone(error) from error


def _gone(error: Exception) -> TrainingError:
    return TrainingError(
        "another process has ended, or cannot be reached",
        received=str(error).strip().split("\n")[0][:200],
        remedy="look at what the others said; the same command goes on from the last checkpoint",
    )
