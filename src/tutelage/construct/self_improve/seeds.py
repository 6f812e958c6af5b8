"""Where self-improvement begins: tasks that experts wrote, from the recipe's demonstrations or a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.errors import DataError, Problem
from tutelage.recipe.sources import BackTranslationSource, BootstrapSource, EvolveSource
from tutelage.records import Demonstration, Level, Paradigm
from tutelage.records.jsonl import read_records
from tutelage.records.seed_tasks import Instance, SeedTask
from tutelage.seeds import stream
from tutelage.text.words import normalize

LONGEST_SEED = 800
"""Characters of a demonstration's request; longer ones, such as those with a passage, are left out."""
NEVER = "safety"
"""The dimension whose demonstrations are left out: nobody checks what a model would make of harmful requests."""
PARADIGM: dict[bool, Paradigm] = {True: "distill", False: "self"}
"""Of the rows that come of seeds, by whether the teacher writes."""


@dataclass(frozen=True, slots=True)
class Seed:
    """A task that an expert wrote, of which cell it is (``level`` None: unknown)."""

    task: SeedTask
    dimension: str
    level: Level | None = None

    @property
    def request(self) -> str:
        """The instruction with the input of its first instance."""
        return request_of(self.task.instruction, self.task.instances[0].input if self.task.instances else "")


def request_of(instruction: str, brought: str) -> str:
    """Return what the user says: the instruction, then what is brought to it, if there is anything."""
    return f"{instruction.strip()}\n\n{brought.strip()}" if brought.strip() else instruction.strip()


Seeded = BootstrapSource | EvolveSource | BackTranslationSource
"""Sources that begin with what experts wrote."""


def seeds_of(section: Seeded, demonstrations: Sequence[Demonstration], base: Path) -> list[Seed]:
    """Return the seeds that a section names: of its file, or else of ``demonstrations``, each request once.

    Raises :class:`DataError` where there is none, a line of the file is no seed task or an id comes twice, and
    :class:`tutelage.errors.StorageError` where the file cannot be read.
    """
    if section.seeds is not None:
        tasks = read_records(base / section.seeds, SeedTask, required=True)
        _refuse_doubles(section.seeds, tasks)
        return _once([Seed(task, section.dimension) for task in tasks])
    found = _once([_seed(one) for one in demonstrations if _may_begin(one)])
    if not found:
        what = "no demonstration can be a seed"
        received = f"{len(demonstrations):,} demonstrations"
        remedy = (
            f"name a file of seed tasks, or give demonstrations with requests of at most {LONGEST_SEED} characters, "
            f"not of {NEVER}"
        )
        raise DataError("construct.sources", [Problem(what, f"{section.folder}: seeds", received, remedy)])
    return found


def drawn_seeds(seeds: Sequence[Seed], number: int, *path: str | int, seed: int) -> list[Seed]:
    """Return ``number`` of ``seeds``, or all where they are fewer, drawn for ``path``."""
    return stream(seed, *path).sample(list(seeds), min(number, len(seeds)))


def _may_begin(one: Demonstration) -> bool:
    return one.item.dimension != NEVER and bool(normalize(one.item.prompt)) and len(one.item.prompt) <= LONGEST_SEED


def _seed(one: Demonstration) -> Seed:
    task = SeedTask(id=one.item.id, instruction=one.item.prompt, instances=(Instance(output=one.answer),))
    return Seed(task, one.item.dimension, one.item.level)


def _once(seeds: Sequence[Seed]) -> list[Seed]:
    found: dict[str, Seed] = {}
    for seed in seeds:
        found.setdefault(normalize(seed.request), seed)
    return list(found.values())


def _refuse_doubles(file: str, tasks: Sequence[SeedTask]) -> None:
    ids = [task.id for task in tasks]
    doubles = sorted({name for name in ids if ids.count(name) > 1})
    if doubles:
        remedy = "give each seed task an id of its own"
        what = "the id is given more than once"
        raise DataError(file, [Problem(what, f"{file}: {name}", remedy=remedy) for name in doubles])
