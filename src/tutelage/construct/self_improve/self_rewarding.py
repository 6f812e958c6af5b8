"""A round's pairs from self-rewarding language models (Yuan et al. 2024): answers, points, the best and the worst.

Iterations are the rounds. Deviations: no model is tuned on examples of judging first (the paper's EFT data); answers
that are cut off, go round in circles or are in another language are left out before they are judged; instructions come
as in Self-Instruct here, with its filters, from the model itself. A run learns from rows alone: pairs are kept for
``tutelage tune``, and rows are the paper's variant that learns from perfect answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.approval import Approval, Written
from tutelage.construct.desk import Desk
from tutelage.construct.given import as_given
from tutelage.construct.instructions.form import form_verdict
from tutelage.construct.ledgers import Book
from tutelage.construct.missing import count_missing
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.bootstrap import TASKS_PROMPT, bootstrap
from tutelage.construct.self_improve.seeds import PARADIGM, seeds_of
from tutelage.events import say
from tutelage.judging.judge import Court, Judged
from tutelage.judging.points import ADDITIVE, Drawing, judge_points
from tutelage.judging.summary import words
from tutelage.recipe.sources import SelfRewardingSource
from tutelage.records import (
    LEVELS,
    Answer,
    Cost,
    Demonstration,
    Dropped,
    Example,
    Item,
    Lineage,
    Preference,
    Request,
    Verdict,
    assistant,
    content_id,
    user,
)
from tutelage.records.instructions import Order
from tutelage.records.jsonl import write_records
from tutelage.records.seed_tasks import Pooled
from tutelage.seeds import derive_seed

SOURCE = "self_rewarding"
CANDIDATES, JUDGINGS, PAIRS, POSITIVES = "candidates", "judgings", "pairs", "positives"
MADE = ("propose", "answer", "judge")
_EVEN = 1e-9
"""Difference of two means that is rounding alone."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer to a new instruction, with the mean of its points once it was judged."""

    pooled: Pooled
    answer: Answer
    verdict: Verdict | None = None

    @property
    def text(self) -> str:
        """What was answered."""
        return self.answer.text.strip()

    @property
    def score(self) -> float:
        """The mean of its points, from 0 to 1."""
        assert self.verdict is not None
        assert self.verdict.score is not None
        return self.verdict.score


def self_rewarding_pairs(
    section: SelfRewardingSource,
    sampler: Sampler,
    *,
    writer: Asker,
    demonstrations: Sequence[Demonstration],
    base: Path,
) -> tuple[list[Example], list[Preference]]:
    """Return the rows and pairs of a round and write what they come from into the source's folder of the stage.

    ``instructions-1.jsonl``, …, ``candidates.jsonl`` and ``judgings.jsonl`` are every reply, ``pool.jsonl`` the
    instructions that were kept, ``dropped.jsonl`` all that gave nothing, with its reason, ``ledger.jsonl`` the counts.
    What it took is put on ``sampler.meters``: a proposed instruction is an attempt, one with a pair or a row one that
    passed; points are judging.

    Raises what :func:`seeds_of`, :meth:`Desk.ask`, :func:`judge_points` and :meth:`Bench.score` raise.
    """
    desk, book = Desk(section, sampler, writer), Book()
    pool = bootstrap(desk, section, seeds_of(section, demonstrations, base))
    book.ledgers += pool.ledgers(section.tasks)
    book.dropped += pool.dropped
    write_records(desk.folder / "pool.jsonl", pool.kept)
    candidates, replies = _candidates(desk, section, pool.kept, book)
    judged = _judged(desk, section, candidates, book)
    groups = {one.id: [found for found in judged if found.pooled is one] for one in pool.kept}
    writing = _Writer(section, desk, replies)
    pairs = _pairs(writing, groups, pool.kept, book)
    rows = _positives(writing, groups, book) if section.positives is not None else []
    book.write(desk.folder)
    gave = {pair.lineage.parents[0] for pair in pairs} | {row.lineage.parents[0] for row in rows}
    desk.attempted(PARADIGM[section.taught], answers=pool.proposed, passed=len(gave), errors=pool.absent)
    say(book.words(section.folder), sampler.emit)
    return rows, pairs


def _candidates(
    desk: Desk, section: SelfRewardingSource, pool: Sequence[Pooled], book: Book
) -> tuple[list[Candidate], dict[str, list[Answer]]]:
    """The answers that may be judged, and all that were given, by instruction."""
    asked = [(one, number) for one in pool for number in range(section.candidates)]
    requests = [
        Request(
            id=f"{one.id}/{CANDIDATES}/{number}",
            messages=(user(one.instruction),),
            sampling=desk.writing,
            seed=derive_seed(desk.sampler.seed, section.folder, CANDIDATES, one.id, number),
        )
        for one, number in asked
    ]
    kept: dict[tuple[str, str], Candidate] = {}
    dropped: list[Dropped] = []
    replies: dict[str, list[Answer]] = {one.id: [] for one in pool}
    for (one, _), answer in zip(asked, desk.answer(CANDIDATES, requests), strict=True):
        replies[one.id].append(answer)
        reason = _unfit(one, answer, section)
        if not reason and (one.id, answer.text.strip()) in kept:
            reason = "the same answer was there before"
        if reason:
            dropped.append(Dropped(id=answer.request_id, step=CANDIDATES, reason=reason, row=answer.to_json()))
        else:
            kept[one.id, answer.text.strip()] = Candidate(one, answer)
    book.enter(CANDIDATES, len(kept), dropped)
    return list(kept.values()), replies


def _unfit(one: Pooled, answer: Answer, section: SelfRewardingSource) -> str:
    if answer.finish == "error":
        return f"no answer came: {answer.error}"
    order = Order(id=one.id, dimension=section.dimension, level=LEVELS[0], language=section.language)
    verdict = form_verdict(answer, order, request=one.instruction)
    return f"the answer is not right in form: {verdict.reason}" if verdict.score == 0 else ""


def _judged(desk: Desk, section: SelfRewardingSource, candidates: Sequence[Candidate], book: Book) -> list[Candidate]:
    """The candidates with the mean of their points; those of which no judging could be read are left out."""
    sampler = desk.sampler
    seed = derive_seed(sampler.seed, section.folder, JUDGINGS)
    drawing = Drawing(section.judgings, section.temperature, sampler.section.top_p, seed)
    found = judge_points(
        desk.writer.open,
        [Judged(one.answer.request_id, _item(one, section), one.text) for one in candidates],
        ADDITIVE,
        name=desk.writer.name,
        court=Court(desk.folder, JUDGINGS, sampler.chunk, sampler.emit),
        retries=section.retries,
        again=desk.writer.again,
        drawing=drawing,
    )
    desk.judging = desk.judging.plus(found.judging)
    count_missing(found.replies, label=JUDGINGS, emit=sampler.emit)
    kept: list[Candidate] = []
    dropped: list[Dropped] = []
    for one, verdict in zip(candidates, found.verdicts, strict=True):
        if verdict.score is None:
            reason = f"nobody could judge it: {verdict.reason}"
            row = one.answer.to_json()
            dropped.append(Dropped(id=one.answer.request_id, step=JUDGINGS, reason=reason, row=row))
        else:
            kept.append(Candidate(one.pooled, one.answer, verdict))
    book.enter(JUDGINGS, len(kept), dropped, [words(found.summary)] if candidates else [])
    return kept


def _pairs(
    writing: "_Writer", groups: dict[str, list[Candidate]], pool: Sequence[Pooled], book: Book
) -> list[Preference]:
    """Best and worst of each instruction, where their points differ."""
    pairs: list[Preference] = []
    dropped: list[Dropped] = []
    for one in pool:
        group = groups[one.id]
        best, worst = _best(group), min(group, key=lambda found: found.score, default=None)
        if best is None or worst is None or len(group) < 2:
            reason = "fewer than two different answers have points"
        elif best.score - worst.score <= _EVEN:
            reason = f"best and worst have the same points: {5 * best.score:.3g}"
        else:
            pairs.append(writing.pair(best, worst))
            continue
        dropped.append(Dropped(id=one.id, step=PAIRS, reason=reason, row=one.to_json()))
    book.enter(PAIRS, len(pairs), dropped)
    return pairs


def _positives(writing: "_Writer", groups: dict[str, list[Candidate]], book: Book) -> list[Example]:
    """Rows of the best answers with so many points, where the judge of the recipe, if there is one, passes them."""
    section, desk = writing.section, writing.desk
    assert section.positives is not None
    best = [one for group in groups.values() if (one := _best(group)) is not None]
    approval = Approval(desk.sampler, desk.folder)
    enough = [one for one in best if ADDITIVE.high * one.score >= section.positives - _EVEN]
    written = [
        Written(
            as_given(
                (user(one.pooled.instruction),),
                id=one.answer.request_id,
                task=SOURCE,
                dimension=section.dimension,
                level=None,
                facet="",
                group=one.pooled.id,
            ),
            one.answer,
        )
        for one in enough
    ]
    verdicts = approval.verdicts(POSITIVES, written)
    desk.judging = desk.judging.plus(approval.judging)
    reasons = {one.pooled.id: f"its best answer has fewer than {section.positives:g} points" for one in best}
    passed: dict[str, Verdict] = {}
    for one, verdict in zip(enough, verdicts, strict=True):
        reasons[one.pooled.id] = "" if approval.passes(verdict) else approval.why_not(verdict)
        passed[one.pooled.id] = verdict
    rows = [writing.row(one, passed[one.pooled.id]) for one in enough if not reasons[one.pooled.id]]
    dropped = [
        Dropped(id=one.answer.request_id, step=POSITIVES, reason=reasons[one.pooled.id], row=one.answer.to_json())
        for one in best
        if reasons[one.pooled.id]
    ]
    nobody = sum(passed[one.pooled.id].score is None for one in enough if not reasons[one.pooled.id])
    notes = [f"of {nobody:,} rows nobody but their writer has judged what they say (construct.judge)"] if nobody else []
    book.enter(POSITIVES, len(rows), dropped, notes)
    return rows


def _best(group: Sequence[Candidate]) -> Candidate | None:
    """The first of those with the most points."""
    return max(group, key=lambda one: one.score, default=None)


def _item(one: Candidate, section: SelfRewardingSource) -> Item:
    """An instruction as a judge is shown it."""
    return Item(
        id=one.pooled.id,
        task=SOURCE,
        dimension=section.dimension,
        level=LEVELS[0],
        split="train",
        messages=(user(one.pooled.instruction),),
        group=one.pooled.id,
    )


@dataclass(frozen=True, slots=True)
class _Writer:
    """Makes rows and pairs; ``replies`` are all answers to an instruction, which are what each costs."""

    section: SelfRewardingSource
    desk: Desk
    replies: dict[str, list[Answer]]

    def pair(self, best: Candidate, worst: Candidate) -> Preference:
        """Return the pair of two answers."""
        assert best.verdict is not None
        assert worst.verdict is not None
        return Preference(
            id=content_id("preference", SOURCE, best.pooled.instruction, best.text, worst.text),
            prompt=(user(best.pooled.instruction),),
            chosen=assistant(best.text),
            rejected=assistant(worst.text),
            lineage=self._lineage(best, (worst.answer.request_id,), (best.verdict, worst.verdict)),
            task=SOURCE,
            dimension=self.section.dimension,
        )

    def row(self, best: Candidate, approval: Verdict) -> Example:
        """Return the row of an answer."""
        assert best.verdict is not None
        return Example(
            id=content_id(SOURCE, best.pooled.instruction, best.text),
            messages=(user(best.pooled.instruction), assistant(best.text)),
            lineage=self._lineage(best, (), (best.verdict, approval)),
            task=SOURCE,
            dimension=self.section.dimension,
            group=best.pooled.id,
        )

    def _lineage(self, best: Candidate, others: Sequence[str], verdicts: tuple[Verdict, ...]) -> Lineage:
        return Lineage(
            paradigm=PARADIGM[self.section.taught],
            source=SOURCE,
            author=best.answer.by or self.desk.writer.name,
            parents=(best.pooled.id, *best.pooled.shown, best.answer.request_id, *others),
            prompt=version(TASKS_PROMPT),
            sampling=self.desk.writing,
            seed=best.answer.seed,
            round=self.desk.sampler.round,
            verdicts=verdicts,
            operations=MADE,
            cost=Cost.of(self.replies[best.pooled.id]),
        )
