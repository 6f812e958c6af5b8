"""Decomposition: an answer that met some demands of an item is a right answer to the item that asks only for those.

Hindsight relabeling (Andrychowicz et al. 2017; of instructions: Zhang et al. 2023, HIR): where nobody met all demands,
the ended answer that met most is kept with the instruction that it does fulfill. The check judges it again.
"""

from collections.abc import Sequence

from tutelage.construct.sampling import Sample, Sampler
from tutelage.records import Answer, Example
from tutelage.tasks.protocol import Decomposable

SOURCE = "decomposition"


def decompose(sampler: Sampler, samples: Sequence[Sample]) -> Sample | None:
    """Return the sample that met most demands of its item as a sample of the smaller item; None if there is none.

    ``samples`` are all of one item, none of them accepted; of equal ones the first counts.
    """
    if not (samples and sampler.section.decompose and sampler.section.verify):
        return None
    item = samples[0].item
    task = sampler.tasks[item.task]
    useful = [sample for sample in samples if sample.answer.ended and _met(sample)]
    if not useful or not isinstance(task, Decomposable):
        return None
    best = max(useful, key=lambda sample: len(_met(sample)))
    smaller = task.decompose(item, _met(best))
    if smaller is None:
        return None
    (again,) = sampler.check([smaller], [best.answer])
    return again if sampler.accepts(again) else None


def part_row(
    sampler: Sampler,
    own: Sequence[Sample],
    taught: Sequence[Sample],
    *,
    student: str,
    teacher: str,
    spent: Sequence[Answer],
    prompt: str = "",
) -> Example | None:
    """Return the row of :func:`decompose` over the student's ``own`` samples and those that a teacher ``taught``.

    Its paradigm is that of whoever gave the answer, its lineage names the whole item too; ``spent`` is all that was
    sampled for that.
    """
    pool = [*own, *taught]
    part = decompose(sampler, pool)
    if part is None:
        return None
    is_taught = any(part.answer is sample.answer for sample in taught)
    return sampler.example(
        part,
        paradigm="distill" if is_taught else "self",
        source=SOURCE,
        author=teacher if is_taught else student,
        spent=spent,
        prompt=prompt if is_taught else "",
        parents=(pool[0].item.id,),
    )


def _met(sample: Sample) -> list[str]:
    return [part.name for part in sample.verdict.parts if part.passed]
