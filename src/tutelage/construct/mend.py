"""Mending: where nobody met all demands, a task that can edit a draft does, and the check judges what comes out.

A program as the last teacher: it adds form, never content (``mend`` of a :class:`tutelage.tasks.protocol.Mendable`
task), so that the rows of hard cells do not wait for a model that meets four demands at once.
"""

from collections.abc import Sequence

from tutelage.construct.sampling import Sample, Sampler
from tutelage.records import Answer, Conversation, Example, Item
from tutelage.tasks.protocol import Mendable
from tutelage.text.repetition import repeated_share

SOURCE = "mending"


def mend(sampler: Sampler, samples: Sequence[Sample]) -> Sample | None:
    """Return the edited sample that repeats itself least among those that pass their check; None if there is none.

    ``samples`` are all of one item, none of them accepted. One that was cut off is as good: whole sentences are used.
    """
    if not (samples and sampler.section.mend and sampler.section.verify):
        return None
    item = samples[0].item
    task = sampler.tasks[item.task]
    if not isinstance(task, Mendable):
        return None
    edited = [(text, sample) for sample in samples if (text := task.mend(item, sample.answer.text)) is not None]
    for text, sample in sorted(edited, key=lambda pair: repeated_share(pair[0])):
        (again,) = sampler.check([item], [sample.answer.model_copy(update={"text": text, "finish": "stop"})])
        if sampler.accepts(again):
            sampler.count(again, attempted=0 if sampler.judges(sample) else 1)
            return again
    return None


def plain_prompts(sampler: Sampler, items: Sequence[Item]) -> list[tuple[Item, Conversation]]:
    """Return what to ask for drafts of ``items``: each request without its formal demands, where its task knows it."""
    if not (sampler.section.mend and sampler.section.verify):
        return []
    found = []
    for item in items:
        task = sampler.tasks[item.task]
        plain = task.plain(item) if isinstance(task, Mendable) else None
        if plain is not None:
            found.append((item, plain))
    return found


def mended_row(
    sampler: Sampler,
    own: Sequence[Sample],
    taught: Sequence[Sample],
    *,
    student: str,
    teacher: str,
    spent: Sequence[Answer],
    prompt: str = "",
) -> Example | None:
    """Return the row of :func:`mend` over the student's ``own`` samples and those that a teacher ``taught``.

    Its paradigm is that of whoever wrote the draft; ``spent`` is all that was sampled for its item.
    """
    mended = mend(sampler, own)
    by_teacher = mended is None
    if mended is None:
        mended = mend(sampler, taught)
    if mended is None:
        return None
    return sampler.example(
        mended,
        paradigm="distill" if by_teacher else "self",
        source=SOURCE,
        author=teacher if by_teacher else student,
        spent=spent,
        prompt=prompt if by_teacher else "",
    )
