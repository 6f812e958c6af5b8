"""Self-improvement by lessons: attempt → verdict with reason → critique → revision → verdict.

The kept answer is the student's own attempt or revision if one passes, else the teacher's if it passes, else the one
that met most demands, for the item that asks only these (``decompose``), else nothing (rejection sampling as in Yuan
et al. 2023; revision after a reason in the manner of Bai et al. 2022, the reason coming from the program). The student
is trained on (instruction, kept answer) without the critique; (kept answer, failed attempt) is a preference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tutelage.construct.decompose import part_row
from tutelage.construct.distill import Contexts, distill, prompt_id, uncopied
from tutelage.construct.prompts import render
from tutelage.construct.sampling import Asker, Sample, Sampler
from tutelage.records import Example, Item, Lesson, Preference, Turn, assistant, content_id, user


@dataclass(frozen=True, slots=True)
class Taught:
    """What a set of lessons gave."""

    rows: list[Example]
    pairs: list[Preference]
    lessons: list[Lesson]


def teach(
    items: Sequence[Item],
    sampler: Sampler,
    *,
    student: Asker,
    teacher: Asker | None,
    contexts: Contexts,
    samples: int,
    revisions: int,
) -> Taught:
    """Give one lesson an item."""
    attempts = _by_item(
        items,
        sampler.ask("attempts", student, [(i, i.messages) for i in items], samples=samples, paradigm="self"),
    )
    unmet = [item for item in items if not any(sampler.accepts(s) for s in attempts[item.id])]
    failed = [item for item in unmet if any(_was_said(s) for s in attempts[item.id])]
    critiques = {item.id: (best := _best(attempts[item.id]), _critique(best)) for item in failed}
    revised: dict[str, list[Sample]] = {}
    if revisions and failed:
        prompts = [
            (item, (*item.messages, assistant(critiques[item.id][0].answer.text), user(critiques[item.id][1])))
            for item in failed
        ]
        asked = sampler.ask("revisions", student, prompts, samples=revisions, paradigm="self")
        revised = _by_item(failed, asked)
    helpless = [item for item in unmet if not any(sampler.accepts(s) for s in revised.get(item.id, []))]
    taught: dict[str, list[Sample]] = {}
    rows: list[Example] = []
    if teacher is not None and helpless:
        rows, _, taught = distill(
            helpless, sampler, teacher=teacher, contexts=contexts, samples=samples, name="fallback", parts=False
        )
    by_teacher = {row.lineage.parents[0]: row for row in rows}
    pairs: list[Preference] = []
    lessons: list[Lesson] = []
    for item in items:
        spent = [*attempts[item.id], *revised.get(item.id, [])]
        own, kept = _own_answer(item, sampler, student, attempts[item.id], revised.get(item.id, []), spent)
        rows += own
        if not own and item.id in by_teacher:
            own, kept = [by_teacher[item.id]], "teacher"
        if not own:
            part = part_row(
                sampler,
                spent,
                uncopied(taught.get(item.id, []), contexts.get(item.id, ())),
                student=student.name,
                teacher=teacher.name if teacher is not None else "",
                prompt=prompt_id(contexts, item),
            )
            rows, kept = ([*rows, part], "part") if part else (rows, kept)
        wrong = next((s for s in attempts[item.id] if s.answer.ended and s.verdict.score == 0), None)
        if own and wrong is not None and wrong.answer.text.strip() != own[0].target.text:
            pairs.append(sampler.preference(own[0], wrong))
        turns = _turns(
            sampler, attempts[item.id], critiques.get(item.id), revised.get(item.id, []), taught.get(item.id, [])
        )
        lessons.append(Lesson(id=content_id("lesson", item.id), item=item, turns=turns, kept=kept, round=sampler.round))
    return Taught(rows, pairs, lessons)


def _own_answer(
    item: Item,
    sampler: Sampler,
    student: Asker,
    attempts: Sequence[Sample],
    revisions: Sequence[Sample],
    spent: Sequence[Sample],
) -> tuple[list[Example], Literal["attempt", "revision", "teacher", "part", "nothing"]]:
    first = sampler.accept(attempts)
    source, kept = ("rejection", first) if first else ("revision", sampler.accept(revisions))
    rows = [
        sampler.example(sample, paradigm="self", source=source, author=student.name, spent=spent) for sample in kept
    ]
    return rows, ("attempt" if first else "revision" if kept else "nothing")


def _by_item(items: Sequence[Item], asked: Sequence[list[Sample]]) -> dict[str, list[Sample]]:
    return {item.id: group for item, group in zip(items, asked, strict=True)}


def _best(samples: Sequence[Sample]) -> Sample:
    """The failed attempt that is nearest to right: most parts passed; ended before cut; first before later."""
    said = [sample for sample in samples if _was_said(sample)]
    return max(said, key=lambda s: (sum(part.passed for part in s.verdict.parts), s.answer.ended))


def _was_said(sample: Sample) -> bool:
    """Whether there is an answer to criticize, and not only an engine's error."""
    return sample.answer.finish != "error"


def _critique(sample: Sample) -> str:
    reason = sample.verdict.reason
    if not sample.answer.ended:
        reason = f"{reason} The answer was also cut off because it is too long.".strip()
    return render("critique", reason=reason)


def _turns(
    sampler: Sampler,
    attempts: Sequence[Sample],
    critique: tuple[Sample, str] | None,
    revisions: Sequence[Sample],
    fallback: Sequence[Sample],
) -> tuple[Turn, ...]:
    """The lesson as a conversation: the attempt that counted, what was said to it, the revision, the teacher."""
    accepted = next((s for s in attempts if sampler.accepts(s)), None)
    if accepted is not None:
        return (Turn(answer=accepted.answer, verdict=accepted.verdict),)
    attempt, words = critique if critique is not None else (attempts[0], "")
    turns = [Turn(answer=attempt.answer, verdict=attempt.verdict, critique=words)]
    for group in (revisions, fallback):
        if group:
            shown = next((s for s in group if sampler.accepts(s)), group[0])
            turns.append(Turn(answer=shown.answer, verdict=shown.verdict))
    return tuple(turns)
