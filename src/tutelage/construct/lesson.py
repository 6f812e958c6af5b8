"""Self-improvement by lessons: attempt → verdict with reason → critique → revision → verdict.

The kept answer is the student's own attempt or revision if one passes, else one of them that the task's program could
put right (``mend``), else the teacher's if it passes, as it is or mended, else the item's reference, if it has one,
else the answer that met most demands, for the item that asks only these (``decompose``), else nothing (rejection
sampling as in Yuan et al. 2023; revision after a reason in the manner of Bai et al. 2022, the reason coming from the
program). The student is trained on (instruction,
kept answer) without the critique; (kept answer, failed attempt) is a preference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tutelage.construct.critique import Critique, criticize
from tutelage.construct.decompose import part_row
from tutelage.construct.distill import Contexts, distill, prompt_id, uncopied
from tutelage.construct.mend import mended_row, plain_prompts
from tutelage.construct.reference import reference_row
from tutelage.construct.sampling import Asker, Sample, Sampler, failed_its_check
from tutelage.records import Answer, Example, Item, Lesson, Preference, Turn, assistant, content_id, user


@dataclass(frozen=True, slots=True)
class Taught:
    """What a set of lessons gave."""

    rows: list[Example]
    pairs: list[Preference]
    lessons: list[Lesson]


@dataclass(slots=True)
class Case:
    """One item on its way through a lesson: who said what, and which row came of it."""

    item: Item
    attempts: list[Sample]
    criticized: Sample | None = None
    critique: Critique | None = None
    revisions: list[Sample] = field(default_factory=list)
    plain: list[Sample] = field(default_factory=list)
    taught: list[Sample] = field(default_factory=list)
    rows: list[Example] = field(default_factory=list)
    kept: Literal["attempt", "revision", "mended", "teacher", "reference", "part", "nothing"] = "nothing"

    @property
    def drafts(self) -> list[Sample]:
        """All that the student said to the whole item."""
        return [*self.attempts, *self.revisions]

    @property
    def spent(self) -> list[Answer]:
        """All that was sampled for the item so far, the teacher's critique too."""
        said = [sample.answer for sample in (*self.drafts, *self.plain, *self.taught)]
        return [*said, *(self.critique.answers if self.critique is not None else ())]


def teach(
    items: Sequence[Item],
    sampler: Sampler,
    *,
    student: Asker,
    teacher: Asker | None,
    contexts: Contexts,
    samples: int,
    revisions: int,
    drafts: int = 0,
    critic: Asker | None = None,
) -> Taught:
    """Give one lesson an item.

    ``critic`` explains what is wrong with a failed attempt; None: the reason of its check is all that is said.
    """
    asked = sampler.ask("attempts", student, [(i, i.messages) for i in items], samples=samples, paradigm="self")
    cases = [Case(item, group) for item, group in zip(items, asked, strict=True)]
    for case in cases:
        _keep_own(case, sampler, student, case.attempts, "rejection", "attempt")
    _revise([case for case in cases if not case.rows], sampler, student, critic, revisions)
    for case in cases:
        if not case.rows:
            _keep_own(case, sampler, student, case.revisions, "revision", "revision")
        if not case.rows:
            _mend(case, sampler, student, case.drafts)
    _draft([case for case in cases if not case.rows], sampler, student, drafts)
    helpless = [case for case in cases if not case.rows]
    if teacher is not None:
        _ask_teacher(helpless, sampler, teacher, contexts, samples)
    for case in helpless:
        if not case.rows:
            _keep_remains(case, sampler, student, teacher, contexts)
    pairs = [pair for case in cases if (pair := _pair(case, sampler)) is not None]
    return Taught([row for case in cases for row in case.rows], pairs, [_lesson(case, sampler) for case in cases])


def _keep_own(
    case: Case,
    sampler: Sampler,
    student: Asker,
    samples: Sequence[Sample],
    source: str,
    kept: Literal["attempt", "revision"],
) -> None:
    for sample in sampler.accept(samples):
        row = sampler.example(sample, paradigm="self", source=source, author=student.name, spent=case.spent)
        case.rows.append(row)
        case.kept = kept


def _revise(failed: Sequence[Case], sampler: Sampler, student: Asker, critic: Asker | None, revisions: int) -> None:
    said = [case for case in failed if any(_was_said(sample) for sample in case.attempts)]
    best = [_best(case.attempts) for case in said]
    found = criticize(best, sampler, critic if revisions else None)
    prompts = []
    for case, attempt, critique in zip(said, best, found, strict=True):
        case.criticized, case.critique = attempt, critique
        prompts.append((case.item, (*case.item.messages, assistant(attempt.answer.text), user(critique.text))))
    if revisions and said:
        answered = sampler.ask("revisions", student, prompts, samples=revisions, paradigm="self")
        for case, group in zip(said, answered, strict=True):
            case.revisions = group


def _mend(case: Case, sampler: Sampler, student: Asker, drafts: Sequence[Sample]) -> None:
    mended = mended_row(sampler, drafts, (), student=student.name, teacher="", spent=case.spent)
    if mended is not None:
        case.rows, case.kept = [mended], "mended"


def _draft(helpless: Sequence[Case], sampler: Sampler, student: Asker, drafts: int) -> None:
    """Let the student answer without the formal demands, and mend that."""
    prompts = plain_prompts(sampler, [case.item for case in helpless]) if drafts else []
    if not prompts:
        return
    answered = sampler.ask("drafts", student, prompts, samples=drafts, paradigm="self")
    written = {item.id: group for (item, _), group in zip(prompts, answered, strict=True)}
    for case in helpless:
        case.plain = written.get(case.item.id, [])
        _mend(case, sampler, student, case.plain)


def _ask_teacher(helpless: Sequence[Case], sampler: Sampler, teacher: Asker, contexts: Contexts, samples: int) -> None:
    if not helpless:
        return
    items = [case.item for case in helpless]
    rows, _, taught = distill(
        items,
        sampler,
        teacher=teacher,
        contexts=contexts,
        samples=samples,
        name="fallback",
        parts=False,
        before={case.item.id: case.spent for case in helpless},
    )
    for case in helpless:
        case.taught = taught[case.item.id]
        case.rows = [row for row in rows if row.lineage.parents[0] == case.item.id]
        case.kept = "teacher" if case.rows else "nothing"


def _keep_remains(case: Case, sampler: Sampler, student: Asker, teacher: Asker | None, contexts: Contexts) -> None:
    """Keep the teacher's answer mended, or else the reference, or else whatever met a part of the item."""
    written = uncopied(case.taught, contexts.get(case.item.id, ()))
    names = {"student": student.name, "teacher": teacher.name if teacher is not None else ""}
    prompt = prompt_id(contexts, case.item)
    spent = case.spent
    if mended := mended_row(sampler, (), written, spent=spent, prompt=prompt, **names):
        case.rows, case.kept = [mended], "mended"
    elif known := reference_row(sampler, case.item, spent=spent):
        case.rows, case.kept = [known], "reference"
    elif part := part_row(sampler, case.drafts, written, spent=spent, prompt=prompt, **names):
        case.rows, case.kept = [part], "part"


def _pair(case: Case, sampler: Sampler) -> Preference | None:
    """The kept answer against a failed attempt at the same item; a part answers another item."""
    if not case.rows or case.kept == "part":
        return None
    best = case.rows[0]
    wrong = next((s for s in case.attempts if s.answer.ended and failed_its_check(s)), None)
    if wrong is None:
        return sampler.judged_preference(best, [*case.drafts, *case.taught], case.attempts)
    return None if wrong.answer.text.strip() == best.target.text else sampler.preference(best, wrong)


def _lesson(case: Case, sampler: Sampler) -> Lesson:
    turns = _turns(sampler, case)
    return Lesson(
        id=content_id("lesson", case.item.id), item=case.item, turns=turns, kept=case.kept, round=sampler.round
    )


def _best(samples: Sequence[Sample]) -> Sample:
    """The failed attempt that is nearest to right: most parts passed; ended before cut; what a judge scores higher;
    first before later."""
    said = [sample for sample in samples if _was_said(sample)]
    return max(said, key=lambda s: (sum(part.passed for part in s.verdict.parts), s.answer.ended, _judged_score(s)))


def _judged_score(sample: Sample) -> float:
    return (sample.verdict.score or 0.0) if sample.verdict.judge is not None else 0.0


def _was_said(sample: Sample) -> bool:
    """Whether there is an answer to criticize, and not only an engine's error."""
    return sample.answer.finish != "error"


def _turns(sampler: Sampler, case: Case) -> tuple[Turn, ...]:
    """The lesson as a conversation: the attempt that counted, what was said to it, the revision, the teacher."""
    accepted = next(iter(sampler.accept(case.attempts)), None)
    if accepted is not None:
        return (Turn(answer=accepted.answer, verdict=accepted.verdict),)
    attempt = case.criticized or case.attempts[0]
    said = case.critique or Critique("")
    turns = [Turn(answer=attempt.answer, verdict=attempt.verdict, critique=said.text, critic=said.by)]
    for group in (case.revisions, case.taught):
        if group:
            shown = next(iter(sampler.accept(group)), group[0])
            turns.append(Turn(answer=shown.answer, verdict=shown.verdict))
    if case.kept == "mended":
        (row,) = case.rows
        edited = Answer(request_id=row.lineage.parents[-1], text=row.target.text, finish="stop")
        turns.append(Turn(answer=edited, verdict=row.lineage.verdicts[0]))
    return tuple(turns)
