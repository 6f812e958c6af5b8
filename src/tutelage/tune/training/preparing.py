"""What is computed before the first step: what the model as it came says of texts, what a teacher says, free texts."""

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import torch

from tutelage.models.load import Bundle, load_bundle
from tutelage.models.template import Encoded
from tutelage.recipe.objectives import KdObjective
from tutelage.recipe.tune import RetentionSection
from tutelage.seeds import derive_seed
from tutelage.tune.reference import Reference, key_of
from tutelage.tune.retention import Memory, Retention, remember
from tutelage.tune.teacher import OpenTeacher, Teacher
from tutelage.tune.training.attention import connect
from tutelage.tune.training.processes import Processes, shares
from tutelage.tune.training.progress import Prepared


def opened_by(open_teacher: OpenTeacher | None, device: torch.device) -> OpenTeacher:
    """Return what opens the teacher of distillation: ``open_teacher``, or what loads it to where the model is."""
    return open_teacher if open_teacher is not None else partial(_load_teacher, device=device)


def _load_teacher(section: KdObjective, *, device: torch.device) -> Bundle:
    return load_bundle(section.teacher, revision=section.revision, device=str(device))


def refer(
    bundle: Bundle, reference: Reference, asked: Iterator[Sequence[Encoded]], *, limit: int, processes: Processes
) -> Iterator[Prepared]:
    """Let ``reference`` learn what the model as it came says of the documents that the steps ask for.

    Each process reads its share, and all learn what the others have read.
    """
    wanted = reference.missing(chain.from_iterable(asked))
    if wanted:
        own = [wanted[index] for index in shares(list(map(len, wanted)), processes.count)[processes.rank]]
        with connect(bundle.model) as network:
            for number in reference.learn(own, network, limit):
                yield Prepared(what="reference", done=number, total=len(own))
        for found in processes.gather(reference.known):
            reference.known.update(found)


def let_speak(
    teacher: Teacher,
    opened: OpenTeacher,
    bundle: Bundle,
    texts: Sequence[Encoded],
    *,
    folder: Path,
    fingerprint: str,
    limit: int,
    processes: Processes,
) -> Iterator[Prepared]:
    """Let a teacher that speaks once read ``texts``; the main process keeps what it says in ``folder``, and the others
    find it there."""
    with processes.main_first():
        if not teacher.load(folder, fingerprint):
            own = opened(teacher.section)
            for number, total in teacher.store(texts, own, bundle, limit):
                yield Prepared(what="teacher", done=number, total=total)
            teacher.save(folder, fingerprint)


def retain(
    bundle: Bundle, section: RetentionSection, *, seed: int, processes: Processes
) -> Generator[Prepared, None, Retention]:
    """Let the model write its free texts: every process draws the same ones."""
    memories: list[Memory] = []
    for memory in remember(bundle, section, seed=derive_seed(seed, "memories")):
        memories.append(memory)
        yield Prepared(what="free texts", done=len(memories), total=section.texts)
    processes.require_same(lambda: [key_of(memory.text) for memory in memories], "free texts")
    return Retention(memories, section, seed=seed)
