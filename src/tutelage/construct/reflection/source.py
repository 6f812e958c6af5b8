"""A round's rows from reflection on rows that are there: instruction, then response, then approved.

Deviations from Li et al. 2023: the replies are JSON; what programs find wrong is asked for again and then left out; a
judge, where the recipe has one, decides, and may prefer the original row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.approval import Approval, Written
from tutelage.construct.given import of_round
from tutelage.construct.ledgers import ledger_of, ledger_words
from tutelage.construct.reflection.rows import Case, Writer, begin, read_cases
from tutelage.construct.reflection.steps import reflect
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.construct.speaker import Speaker
from tutelage.events import say
from tutelage.recipe.sources import ReflectionSource
from tutelage.records import Dropped, Example, Preference, Sampling
from tutelage.records.jsonl import write_records
from tutelage.records.judging import Judging
from tutelage.records.lineage import total
from tutelage.seeds import derive_seed


@dataclass(frozen=True, slots=True)
class Approved:
    """What was approved: new rows, original ones in the place of new ones, pairs, and what did not pass."""

    rows: list[Example]
    originals: list[Example]
    pairs: list[Preference]
    dropped: list[Dropped]


def check_source(section: ReflectionSource, base: Path) -> None:
    """Raise :class:`DataError` or :class:`StorageError` where the rows cannot be read."""
    read_cases(base / section.path)


def reflection_rows(
    section: ReflectionSource, sampler: Sampler, *, student: Asker, teacher: Asker | None, seed: int, base: Path
) -> tuple[list[Example], list[Preference]]:
    """Return the rows and preferences of a round and write what they come from into the source's folder of the stage.

    ``instruction.jsonl`` and ``response.jsonl`` have every reply, ``dropped.jsonl`` all that gave nothing, with its
    reason, ``ledger.jsonl`` the counts. ``seed`` is the run's, ``base`` what paths are relative to. What it took is put
    on ``sampler.meters``.

    Raises what :func:`check_source`, :meth:`Speaker.ask` and :meth:`Bench.score` raise.
    """
    folder, by = sampler.folder / section.folder, student if section.by == "student" else teacher
    assert by is not None, "the recipe has refused a teacher that is not there"
    there = read_cases(base / section.path)
    chosen = of_round(there, section.rows, round=sampler.round, seed=derive_seed(seed, section.folder))
    cases, dropped = begin(chosen)
    taken = len(cases)
    ledgers = [ledger_of("rows", taken, dropped)]
    speaker = Speaker(by, sampler, folder, section.retries)
    drawn = Sampling(
        temperature=sampler.section.temperature, top_p=sampler.section.top_p, max_tokens=section.max_tokens
    )
    for part in section.parts:
        own = derive_seed(sampler.seed, section.folder)
        cases, unfit = reflect(part, speaker, cases, drawn=drawn, seed=own)
        ledgers.append(ledger_of(part, len(cases), unfit))
        dropped += unfit
    approval = Approval(sampler, folder)
    writer = Writer(sampler, by.name, "self" if section.by == "student" else "distill", drawn)
    made = _approved(approval, cases, writer, section)
    ledgers.append(ledger_of("approval", len(made.rows) + len(made.originals), made.dropped, _notes(made)))
    write_records(folder / "dropped.jsonl", [*dropped, *made.dropped])
    write_records(folder / "ledger.jsonl", ledgers)
    _count(sampler, speaker, writer, approval.judging, attempts=taken, passed=len(made.rows))
    say([f"{section.folder}, {ledger_words(ledger)}" for ledger in ledgers], sampler.emit)
    return [*made.rows, *made.originals], made.pairs


def _approved(approval: Approval, cases: Sequence[Case], writer: Writer, section: ReflectionSource) -> Approved:
    made = Approved([], [], [], [])
    changed = [case for case in cases if case.changed]
    made.dropped.extend(_dropped(case, "the reflection changes nothing") for case in cases if not case.changed)
    rivals = [case for case in changed if _is_judged_too(approval, case, section)]
    written = [
        *(Written(case.given, case.answer) for case in changed),
        *(Written(case.before, case.original) for case in rivals),
    ]
    verdicts = approval.verdicts("approval", written)
    before = dict(zip((case.row.id for case in rivals), verdicts[len(changed) :], strict=True))
    for case, new in zip(changed, verdicts, strict=False):
        old = before.get(case.row.id)
        passes = approval.passes(new)
        stays = section.originals == "better" and old is not None and approval.passes(old)
        if stays and old is not None and (not passes or (old.score or 0) > (new.score or 0)):
            made.originals.append(writer.kept(case, old))
        elif passes:
            made.rows.append(writer.row(case, new))
            pair = writer.pair(made.rows[-1], case, new, old) if old is not None else None
            made.pairs.extend([pair] if pair is not None else [])
        else:
            made.dropped.append(_dropped(case, approval.why_not(new)))
    return made


def _is_judged_too(approval: Approval, case: Case, section: ReflectionSource) -> bool:
    """Whether the original is shown to the judge: because it may stay, or to make a pair of the two answers."""
    bench = approval.sampler.bench
    if bench is None or not approval.scores:
        return False
    return section.originals == "better" or (case.same_prompt and bench.section.preference_margin is not None)


def _dropped(case: Case, reason: str) -> Dropped:
    return Dropped(id=case.answer.request_id, step="approval", reason=reason, row=case.row.to_json())


def _notes(made: Approved) -> list[str]:
    unjudged = sum(row.lineage.verdicts[-1].score is None for row in made.rows)
    notes = [f"of {unjudged:,} rows nobody has judged what the answer says"] if unjudged else []
    notes += [f"{len(made.originals):,} are original rows that the judge puts higher"] if made.originals else []
    return notes + ([f"{len(made.pairs):,} original answers make pairs"] if made.pairs else [])


def _count(sampler: Sampler, speaker: Speaker, writer: Writer, judging: Judging, *, attempts: int, passed: int) -> None:
    """Put what was asked on the meter of who reflects: a row that was reflected on is an attempt."""
    meter = sampler.meters.setdefault(writer.paradigm, Meter())
    meter.answers += attempts
    meter.passed += passed
    meter.seconds += speaker.seconds()
    meter.tokens = total([meter.tokens, speaker.tokens()])
    if judging != Judging():
        meter.judging = (meter.judging or Judging()).plus(judging)
