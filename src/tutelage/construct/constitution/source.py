"""A round's rows from a constitution: answered, criticized, revised, approved.

Deviations from Bai et al. 2022: a chat model is asked in turns of one conversation, without examples of critiques;
the critique is JSON and says whether there is a fault at all; the principles of one answer differ; each step sees the
last answer alone; what programs, checks and the judge do not let pass is left out. The paper's second stage, a
preference model and reinforcement learning, is not built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.approval import Approval, Written, form_of_answer
from tutelage.construct.constitution.principles import Principle, draw, principles_of
from tutelage.construct.constitution.rows import Writer
from tutelage.construct.constitution.steps import Case, Step
from tutelage.construct.given import Given, is_text, of_round, prompts_of_file, prompts_of_tasks
from tutelage.construct.ledgers import Book
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.construct.speaker import Speaker
from tutelage.events import say
from tutelage.recipe.sources import ConstitutionSource
from tutelage.records import Dropped, Example, Paradigm, Preference, Request, Sampling, Verdict
from tutelage.records.judging import Judging
from tutelage.records.lineage import total
from tutelage.seeds import derive_seed
from tutelage.tasks.protocol import Task

NOTHING = "no answer came"


@dataclass(frozen=True, slots=True)
class Taken:
    """How many prompts were answered and to how many no answer came, in how many answers nobody found a fault, and what
    the judge took."""

    answered: int
    absent: int
    own: int
    judging: Judging


def check_source(section: ConstitutionSource, base: Path) -> None:
    """Raise :class:`DataError` or :class:`StorageError` where the principles or the prompts cannot be used."""
    principles_of(section, base)
    if section.prompts is not None:
        prompts_of_file(base / section.prompts, section.kind)


def given_prompts(
    section: ConstitutionSource, tasks: Mapping[str, Task], *, base: Path, round: int, seed: int
) -> tuple[list[Given], list[Dropped]]:
    """Return the prompts of a round, and those of them that hold more than text. ``seed`` is the run's."""
    if section.prompts is not None:
        there = prompts_of_file(base / section.prompts, section.kind)
        chosen = of_round(there, section.rows, round=round, seed=derive_seed(seed, section.folder))
    else:
        chosen = prompts_of_tasks(tasks, section.rows, round=round, seed=derive_seed(seed, section.folder))
    reason = "the prompt holds more than text"
    other = [one for one in chosen if not is_text(one.item.messages)]
    dropped = [Dropped(id=one.item.id, step="prompts", reason=reason, row=one.item.to_json()) for one in other]
    return [one for one in chosen if is_text(one.item.messages)], dropped


def constitution_rows(
    section: ConstitutionSource, sampler: Sampler, *, student: Asker, teacher: Asker | None, seed: int, base: Path
) -> tuple[list[Example], list[Preference]]:
    """Return the rows and preferences of a round and write what they come from into the source's folder of the stage.

    ``answers.jsonl`` has the student's first answers, ``critiques-1.jsonl`` and ``revisions-1.jsonl``, … every reply of
    each step, ``dropped.jsonl`` all that gave nothing, with its reason, ``ledger.jsonl`` the counts. ``seed`` is the
    run's, ``base`` what paths are relative to. What it took is put on ``sampler.meters``.

    Raises what :func:`check_source`, :meth:`Speaker.ask` and :meth:`Bench.score` raise.
    """
    principles = principles_of(section, base)
    given, unfit = given_prompts(section, sampler.tasks, base=base, round=sampler.round, seed=seed)
    folder, by = sampler.folder / section.folder, student if section.by == "student" else teacher
    assert by is not None, "the recipe has refused a teacher that is not there"
    book = Book()
    book.enter("prompts", len(given), unfit)
    answering = Speaker(student, sampler, folder, section.retries)
    critic = Speaker(by, sampler, folder, section.retries)
    cases, unanswered = _answered(answering, given, section, principles)
    book.enter("answers", len(cases), unanswered)
    cases = _revised(critic, cases, section, book)
    approval = Approval(sampler, folder)
    paradigm: Paradigm = "self" if section.by == "student" else "distill"
    writer = Writer(sampler, student.name, by.name, paradigm, section.revisions)
    rows, pairs = _approved(approval, cases, writer, book)
    book.write(folder)
    absent = sum(row.reason.startswith(NOTHING) for row in unanswered)
    taken = Taken(len(given) - absent, absent, sum(not case.revised for case in cases), approval.judging)
    _count(sampler, taken, answering, critic, paradigm=paradigm, rows=rows)
    say(book.words(section.folder), sampler.emit)
    return rows, pairs


def _answered(
    student: Speaker, given: Sequence[Given], section: ConstitutionSource, principles: Sequence[Principle]
) -> tuple[list[Case], list[Dropped]]:
    """The prompts with the student's first answers, and those to which none came."""
    sampler = student.sampler
    requests = [
        Request(
            id=f"{one.item.id}/answers",
            messages=one.item.messages,
            sampling=sampler.sampling(one.item.task),
            seed=derive_seed(sampler.seed, section.folder, "answers", one.item.id),
        )
        for one in given
    ]
    cases: list[Case] = []
    dropped: list[Dropped] = []
    for one, answer in zip(given, student.answer("answers", requests), strict=True):
        if answer.finish != "error" and answer.text.strip():
            seed = derive_seed(sampler.seed, section.folder)
            cases.append(Case.begin(one, draw(principles, section.revisions, seed=seed, item=one.item.id), answer))
            continue
        reason = f"{NOTHING}: {answer.error}" if answer.finish == "error" else "the answer has no words"
        dropped.append(Dropped(id=answer.request_id, step="answers", reason=reason, row=answer.to_json()))
    return cases, dropped


def _revised(critic: Speaker, cases: Sequence[Case], section: ConstitutionSource, book: Book) -> list[Case]:
    """The cases after all steps that are still there, in their order; an answer without fault stays as it is."""
    sampler = critic.sampler
    drawn = sampler.section
    critiques = Sampling(temperature=drawn.temperature, top_p=drawn.top_p, max_tokens=section.max_tokens)
    answers = {case.given.item.id: sampler.sampling(case.given.item.task) for case in cases}
    order = {case.given.item.id: place for place, case in enumerate(cases)}
    there = list(cases)
    for number in range(1, section.revisions + 1):
        step = Step(number, critic, critiques, answers, derive_seed(sampler.seed, section.folder))
        found = step.criticize(there)
        read = len(found.at_fault) + len(found.faultless)
        notes = [f"{len(found.faultless):,} have no fault by the principle that was drawn"] if read else []
        book.enter(f"critiques-{number}", read, found.dropped, notes)
        revised, unfit = step.revise(found.at_fault)
        book.enter(f"revisions-{number}", len(revised), unfit)
        there = sorted([*revised, *found.faultless], key=lambda case: order[case.given.item.id])
    fit, unfit = _faultless(there, section)
    book.enter("faultless", sum(not case.revised for case in fit), unfit)
    return fit


def _faultless(cases: Sequence[Case], section: ConstitutionSource) -> tuple[list[Case], list[Dropped]]:
    """The cases, without those in which no fault was found and that are not to be kept as they are."""
    kept: list[Case] = []
    dropped: list[Dropped] = []
    for case in cases:
        reason = ""
        if not case.revised:
            form = form_of_answer(Written(case.given, case.current))
            reason = f"no fault was found, and it is not right in form: {form.reason}" if form.score == 0 else ""
            reason = "no fault was found" if section.faultless == "drop" else reason
        if reason:
            answer = case.current
            dropped.append(Dropped(id=answer.request_id, step="faultless", reason=reason, row=answer.to_json()))
        else:
            kept.append(case)
    return kept, dropped


def _approved(
    approval: Approval, cases: Sequence[Case], writer: Writer, book: Book
) -> tuple[list[Example], list[Preference]]:
    """Rows of what passes, and pairs with the first answers where somebody has judged both."""
    changed = [case for case in cases if case.revised and (case.given.checked or _compares(approval))]
    written = [Written(case.given, case.current) for case in cases]
    verdicts = approval.verdicts("approval", [*written, *(Written(case.given, case.first) for case in changed)])
    firsts = dict(zip((case.first.request_id for case in changed), verdicts[len(cases) :], strict=True))
    rows: list[Example] = []
    pairs: list[Preference] = []
    dropped: list[Dropped] = []
    worse = 0
    for case, verdict in zip(cases, verdicts, strict=False):
        if not approval.passes(verdict):
            answer, reason = case.current, approval.why_not(verdict)
            dropped.append(Dropped(id=answer.request_id, step="approval", reason=reason, row=answer.to_json()))
            continue
        rows.append(writer.row(case, verdict))
        first = firsts.get(case.first.request_id)
        if first is not None:
            worse += (first.score or 0) > (verdict.score or 0)
            pair = writer.pair(rows[-1], case, verdict, first)
            pairs += [pair] if pair is not None else []
    book.enter("approval", len(rows), dropped, _notes(rows, pairs, cases, worse))
    return rows, pairs


def _compares(approval: Approval) -> bool:
    """Whether first answers are judged too, to make pairs of them."""
    bench = approval.sampler.bench
    return bench is not None and approval.scores and bench.section.preference_margin is not None


def _notes(rows: Sequence[Example], pairs: Sequence[Preference], cases: Sequence[Case], worse: int) -> list[str]:
    kept = {row.lineage.parents[-1] for row in rows}
    own = sum(not case.revised and case.current.request_id in kept for case in cases)
    unjudged = sum(_says_nothing(row.lineage.verdicts[-1]) for row in rows)
    notes = [f"{own:,} rows are first answers without fault"] if own else []
    notes += [f"of {unjudged:,} rows nobody has judged what the answer says"] if unjudged else []
    notes += [f"{len(pairs):,} first answers are known to be worse and make pairs"] if pairs else []
    return notes + ([f"{worse:,} rows scored lower than the first answer"] if worse else [])


def _says_nothing(verdict: Verdict) -> bool:
    return verdict.score is None


def _count(
    sampler: Sampler, taken: Taken, student: Speaker, critic: Speaker, *, paradigm: Paradigm, rows: Sequence[Example]
) -> None:
    """Put what was asked on the meters of who wrote it: a prompt is an attempt of who wrote its last answer, a row one
    that passed; what came to nothing before counts as an attempt of who criticizes."""
    spoke: list[tuple[Paradigm, Speaker, int]] = [("self", student, taken.own)]
    spoke.append((paradigm, critic, taken.answered - taken.own))
    for name, speaker, attempts in spoke:
        meter = sampler.meters.setdefault(name, Meter())
        meter.answers += attempts
        meter.seconds += speaker.seconds()
        meter.tokens = total([meter.tokens, speaker.tokens()])
    for row in rows:
        sampler.meters[row.lineage.paradigm].passed += 1
    sampler.meters["self"].errors += taken.absent
    if taken.judging != Judging():
        meter = sampler.meters[paradigm]
        meter.judging = (meter.judging or Judging()).plus(taken.judging)
