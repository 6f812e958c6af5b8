"""Distillation at sequence level: a teacher answers, its check decides.

D = {(x, T(x)) : check(x, T(x))}. With the default teacher this is context distillation (Askell et al. 2021): the
teacher is the same model under expert demonstrations that the student does not see.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

from tutelage.construct.decompose import part_row
from tutelage.construct.mend import mended_row
from tutelage.construct.prompts import version
from tutelage.construct.rationales.asking import PROMPT, ask_with_rationales
from tutelage.construct.rationales.examining import COPY_WORDS
from tutelage.construct.reference import reference_row
from tutelage.construct.sampling import Asker, Sample, Sampler, failed_its_check
from tutelage.records import Answer, Conversation, Example, Item, Preference, content_id
from tutelage.text.words import ngrams, normalize

Contexts = Mapping[str, Conversation]
"""What the teacher sees before an item, by the item's id."""


def distill(
    items: Sequence[Item],
    sampler: Sampler,
    *,
    teacher: Asker,
    contexts: Contexts,
    samples: int,
    name: str = "teacher",
    parts: bool = True,
    before: Mapping[str, Sequence[Answer]] | None = None,
) -> tuple[list[Example], list[Preference], dict[str, list[Sample]]]:
    """Return kept rows, pass/fail pairs, and every sample by item id.

    An answer that copies a demonstration is not kept (:func:`uncopied`). Where the section wants rationales, the
    teacher gives its reasons too (:mod:`tutelage.construct.rationales`); rows that are mended, of the reference or of a
    part have none. ``parts``: whether an item that no answer meets may give a row by mending, or else by its reference,
    or else for a part of it. ``before``: what was sampled for an item, by its id, before the teacher was asked; it
    belongs to the cost of its row.
    """
    shown = {item.id: _without(contexts.get(item.id, ()), item) for item in items}
    wanted = None if sampler.section.distill is None else sampler.section.distill.rationales
    if wanted is not None:
        found = ask_with_rationales(items, sampler, wanted, teacher=teacher, contexts=shown, samples=samples, name=name)
    else:
        prompts = [(item, (*shown[item.id], *item.messages)) for item in items]
        found = sampler.ask(
            name, teacher, prompts, samples=samples, paradigm="distill", together=_together(items, contexts)
        )
    asked = {item.id: group for item, group in zip(items, found, strict=True)}
    rows: list[Example] = []
    pairs: list[Preference] = []
    for item in items:
        group = asked[item.id]
        context = contexts.get(item.id, ())
        prompt = prompt_id(contexts, item)
        written = uncopied(group, context)
        spent = [*(before or {}).get(item.id, ()), *(sample.answer for sample in group)]
        kept = [
            sampler.example(
                sample,
                paradigm="distill",
                source="context_distillation" if context else "distillation",
                author=teacher.name,
                spent=spent,
                prompt=f"{version(PROMPT)} {prompt}" if sample.rationale else prompt,
            )
            for sample in sampler.accept(written)
        ]
        if not kept and parts:
            made = mended_row(sampler, (), written, student="", teacher=teacher.name, spent=spent, prompt=prompt)
            made = made or reference_row(sampler, item, spent=spent)
            made = made or part_row(sampler, (), written, student="", teacher=teacher.name, spent=spent, prompt=prompt)
            rows += [made] if made else []
        rows += kept
        failed = next((s for s in group if s.answer.ended and failed_its_check(s)), None)
        if kept and failed is not None and sampler.turn(failed) != kept[0].target:
            pairs.append(sampler.preference(kept[0], failed))
        elif kept and (judged := sampler.judged_preference(kept[0], group, group)) is not None:
            pairs.append(judged)
    return rows, pairs, asked


def _together(items: Sequence[Item], contexts: Contexts) -> list[Hashable]:
    """A key for each item: one for those of a task that see what most of them see, another for all others.

    An engine reads only once what all prompts of a chunk begin with.
    """
    seen: dict[str, Counter[Conversation]] = {}
    for item in items:
        seen.setdefault(item.task, Counter())[contexts.get(item.id, ())] += 1
    common = {task: context for task, counts in seen.items() for context, count in counts.most_common(1) if count > 1}
    return [(item.task, contexts.get(item.id, ()) == common.get(item.task)) for item in items]


def uncopied(samples: Sequence[Sample], context: Conversation) -> list[Sample]:
    """Return the samples that were not lost and share no ``COPY_WORDS`` words in a row with a demonstration's answer.

    A small teacher parrots its examples, often beside the point; where it does not, the row would teach nothing new.
    """
    shown = {gram for turn in context if turn.role == "assistant" for gram in _grams(turn.text)}
    return [one for one in samples if not one.lost and shown.isdisjoint(_grams(one.answer.text))]


def _grams(text: str) -> Iterator[tuple[str, ...]]:
    return ngrams(normalize(text).split(), COPY_WORDS)


def prompt_id(contexts: Contexts, item: Item) -> str:
    """Return the id, for lineage, of what the teacher sees before an item."""
    return content_id([message.to_json() for message in contexts.get(item.id, ())])


def _without(context: Conversation, item: Item) -> Conversation:
    """The demonstrations without the item itself: a row of a user's is both an example and a question."""
    size = len(item.messages)
    at = next((at for at in range(len(context)) if context[at : at + size] == item.messages), None)
    return context if at is None else (*context[:at], *context[at + size + 1 :])
