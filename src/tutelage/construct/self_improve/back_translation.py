"""A round's rows from instruction back-translation (Li et al. 2023): texts are given requests, then both are scored.

Iterations are the rounds: the student of a round, tuned on what was kept before, writes and scores in the next one. The
paper writes all requests once and scores the same ones again; here the passages of a round get theirs from its student.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.approval import Approval, Written
from tutelage.construct.desk import Desk
from tutelage.construct.documents.source import Shelf, passages_of_round, shelve
from tutelage.construct.given import Given, as_given
from tutelage.construct.ledgers import Book
from tutelage.construct.missing import count_missing
from tutelage.construct.prompts import version
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.augmenting import PROMPT, TEXTS, Pair, augment, shown_seeds, sift_texts
from tutelage.construct.self_improve.augmenting import REQUESTS as STEP
from tutelage.construct.self_improve.seeds import PARADIGM, Seed, seeds_of
from tutelage.events import say
from tutelage.judging.judge import Court, Judged
from tutelage.judging.points import CURATION, judge_points
from tutelage.judging.summary import words
from tutelage.recipe.sources import BackTranslationSource
from tutelage.records import (
    Answer,
    Cost,
    Demonstration,
    Dropped,
    Example,
    Lineage,
    Verdict,
    assistant,
    content_id,
    system,
    user,
)
from tutelage.records.jsonl import write_records
from tutelage.seeds import derive_seed

SOURCE = "back_translation"
AUTHOR = "whoever wrote the documents"
CURATION_STEP, APPROVAL_STEP = "curation", "approval"


@dataclass(frozen=True, slots=True)
class _Graded:
    """A pair with its grade, and what was said of it after that."""

    pair: Pair
    grade: Verdict
    approval: Verdict | None = None


def check_source(section: BackTranslationSource, demonstrations: Sequence[Demonstration], base: Path) -> Shelf:
    """Return the passages of the documents, having seen that there are seeds where some are shown.

    Raises what :func:`shelve` and :func:`seeds_of` raise.
    """
    shelf = shelve(section, base)
    _seeds(section, demonstrations, base)
    return shelf


def back_translation_rows(
    section: BackTranslationSource,
    sampler: Sampler,
    *,
    writer: Asker,
    demonstrations: Sequence[Demonstration],
    seed: int,
    base: Path,
) -> list[Example]:
    """Return the rows of a round and write what they come from into the source's folder of the stage.

    ``passages.jsonl`` is what was read, ``requests.jsonl`` and ``curation.jsonl`` every reply, ``dropped.jsonl`` all
    that gave nothing, with its reason, ``ledger.jsonl`` the counts. ``seed`` is the run's. What it took is put on
    ``sampler.meters``: writing a request is an attempt, a row one that passed; grading is judging.

    Raises what :func:`check_source`, :meth:`Desk.ask`, :func:`judge_points` and :meth:`Bench.score` raise.
    """
    desk, book = Desk(section, sampler, writer), Book()
    shelf = shelve(section, base)
    book.ledgers += shelf.ledgers
    book.dropped += shelf.dropped
    write_records(desk.folder / "passages.jsonl", shelf.passages)
    own = derive_seed(seed, section.folder)
    chosen = passages_of_round(shelf.passages, section.passages, round=sampler.round, seed=own)
    fit, unfit = sift_texts(chosen, section)
    book.enter(TEXTS, len(fit), unfit)
    pairs, unasked, absent = augment(desk, section, fit, _seeds(section, demonstrations, base))
    book.enter(STEP, len(pairs), unasked)
    graded = _curated(desk, section, pairs, book)
    approved = _approved(desk, section, graded, book)
    rows = [_row(one, desk, section) for one in approved]
    book.write(desk.folder)
    desk.attempted(PARADIGM[section.taught], answers=len(fit) - absent, passed=len(rows), errors=absent)
    say(book.words(section.folder), sampler.emit)
    return rows


def _seeds(section: BackTranslationSource, demonstrations: Sequence[Demonstration], base: Path) -> list[Seed]:
    return shown_seeds(seeds_of(section, demonstrations, base)) if section.examples else []


def _curated(desk: Desk, section: BackTranslationSource, pairs: Sequence[Pair], book: Book) -> list[_Graded]:
    """The pairs whose grade is high enough: self-curation (section 2.3)."""
    sampler = desk.sampler
    found = judge_points(
        desk.writer.open,
        [Judged(one.id, _given(one, section).item, one.text) for one in pairs],
        CURATION,
        name=desk.writer.name,
        court=Court(desk.folder, CURATION_STEP, sampler.chunk, sampler.emit),
        retries=section.retries,
        again=desk.writer.again,
    )
    desk.judging = desk.judging.plus(found.judging)
    count_missing(found.replies, label=CURATION_STEP, emit=sampler.emit)
    kept: list[_Graded] = []
    dropped: list[Dropped] = []
    for pair, verdict in zip(pairs, found.verdicts, strict=True):
        if not verdict.criteria:
            reason = f"nobody could grade it: {verdict.reason}"
        elif verdict.criteria[0].score < section.threshold:
            reason = f"its grade is below {section.threshold}: {verdict.reason}"
        else:
            kept.append(_Graded(pair, verdict))
            continue
        dropped.append(Dropped(id=pair.id, step=CURATION_STEP, reason=reason, row=pair.replies[-1].to_json()))
    grades = Counter(verdict.criteria[0].score for verdict in found.verdicts if verdict.criteria)
    notes = [", ".join(f"{count:,} of grade {grade}" for grade, count in sorted(grades.items(), reverse=True))]
    book.enter(CURATION_STEP, len(kept), dropped, [*(notes if grades else []), words(found.summary)] if pairs else [])
    return kept


def _approved(desk: Desk, section: BackTranslationSource, graded: Sequence[_Graded], book: Book) -> list[_Graded]:
    """What is right in form and, where the recipe has a judge for what no program can check, passes it."""
    approval = Approval(desk.sampler, desk.folder)
    written = [Written(_given(one.pair, section), Answer(request_id=one.pair.id, text=one.pair.text)) for one in graded]
    verdicts = approval.verdicts(APPROVAL_STEP, written)
    desk.judging = desk.judging.plus(approval.judging)
    kept: list[_Graded] = []
    dropped: list[Dropped] = []
    for one, verdict in zip(graded, verdicts, strict=True):
        if approval.passes(verdict):
            kept.append(_Graded(one.pair, one.grade, verdict))
        else:
            row, reason = one.pair.replies[-1].to_json(), approval.why_not(verdict)
            dropped.append(Dropped(id=one.pair.id, step=APPROVAL_STEP, reason=reason, row=row))
    book.enter(APPROVAL_STEP, len(kept), dropped)
    return kept


def _given(pair: Pair, section: BackTranslationSource) -> Given:
    return as_given(
        (user(pair.request),),
        id=pair.id,
        task=SOURCE,
        dimension=section.dimension,
        level=None,
        facet="",
        group=pair.passage.document,
    )


def _row(one: _Graded, desk: Desk, section: BackTranslationSource) -> Example:
    """The row of a pair: the request, and the text as it stands. Its cost is the request with all tries, and not what
    grading took."""
    assert one.approval is not None
    pair, last = one.pair, one.pair.replies[-1]
    tag = () if section.tag is None else (system(section.tag),)
    return Example(
        id=content_id(SOURCE, section.tag, pair.request, pair.text),
        messages=(*tag, user(pair.request), assistant(pair.text)),
        lineage=Lineage(
            paradigm=PARADIGM[section.taught],
            source=SOURCE,
            author=AUTHOR,
            parents=(pair.passage.document, pair.passage.id, last.request_id),
            prompt=version(PROMPT),
            sampling=desk.writing,
            seed=last.seed,
            round=desk.sampler.round,
            verdicts=(one.grade, one.approval),
            cost=Cost.of(pair.replies),
        ),
        task=SOURCE,
        dimension=section.dimension,
        group=pair.passage.document,
    )
