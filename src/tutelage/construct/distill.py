"""Distillation at sequence level: a teacher answers, its check decides.

D = {(x, T(x)) : check(x, T(x))}. With the default teacher this is context distillation (Askell et al. 2021): the
teacher is the same model under expert demonstrations that the student does not see.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from tutelage.construct.sampling import Asker, Sample, Sampler
from tutelage.records import Conversation, Example, Item, Level, Preference, content_id

Contexts = Mapping[tuple[str, Level], Conversation]


def distill(
    items: Sequence[Item], sampler: Sampler, *, teacher: Asker, contexts: Contexts, samples: int, name: str = "teacher"
) -> tuple[list[Example], list[Preference], dict[str, list[Sample]]]:
    """Return kept rows, pass/fail pairs, and every sample by item id.

    Each task is asked by itself: its prompts share their demonstrations, which an engine then reads once.
    """
    items = sorted(items, key=lambda item: item.task)
    asked: list[list[Sample]] = []
    for task, own in groupby(items, key=lambda item: item.task):
        prompts = [(item, (*_without(contexts.get((item.task, item.level), ()), item), *item.messages)) for item in own]
        asked += sampler.ask(name, teacher, prompts, samples=samples, paradigm="distill", log=f"{name}-{task}")
    rows: list[Example] = []
    pairs: list[Preference] = []
    for item, group in zip(items, asked, strict=True):
        context = contexts.get((item.task, item.level), ())
        prompt = content_id([message.to_json() for message in context])
        kept = [
            sampler.example(
                sample,
                paradigm="distill",
                source="context_distillation" if context else "distillation",
                author=teacher.name,
                spent=group,
                prompt=prompt,
            )
            for sample in sampler.accept(group)
        ]
        rows += kept
        failed = next((s for s in group if s.answer.ended and s.verdict.score == 0), None)
        if kept and failed is not None and failed.answer.text.strip() != kept[0].target.text:
            pairs.append(sampler.preference(kept[0], failed))
    return rows, pairs, {item.id: group for item, group in zip(items, asked, strict=True)}


def _without(context: Conversation, item: Item) -> Conversation:
    """The demonstrations without the item itself: a row of a user's is both an example and a question."""
    size = len(item.messages)
    at = next((at for at in range(len(context)) if context[at : at + size] == item.messages), None)
    return context if at is None else (*context[:at], *context[at + size + 1 :])
