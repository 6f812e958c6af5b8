"""Pairs of answers through the steps that decide about one row by itself: no pair may hold what no row may hold."""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.curate.batches import mask, traced
from tutelage.curate.batchwise import RowWise, Tally
from tutelage.curate.step import Masking, Step, answer_text, prompt_text
from tutelage.recipe.custom import in_words
from tutelage.records import Dropped, Example, Ledger, Preference, with_answer

STEP = "pairs"


@dataclass(frozen=True, slots=True)
class CuratedPairs:
    """The pairs that were kept, in the order of their ids; every dropped one with its reason; the counts."""

    kept: tuple[Preference, ...]
    dropped: tuple[Dropped, ...]
    ledger: Ledger


def curate_pairs(pairs: Sequence[Preference], steps: Sequence[Step]) -> CuratedPairs:
    """Send pairs through those of ``steps`` that decide about each row by itself, the prompt with each answer as a row.

    The chosen answer is judged as any row. The rejected one, which is shown as what not to say, may be short, repeat
    itself or have another language: it is judged by :meth:`RowWise.judge_rejected`. A pair is dropped with either of
    its answers, where a step has left no difference between them, and where an equal one was kept. Steps that choose
    among all rows (duplicates, mixes, selections) do not see pairs.

    Raises
    ------
    DataError: a step loses or invents rows, or changes one without saying so. TutelageError: what its own code raises,
    in words.
    """
    ordered = sorted(pairs, key=lambda pair: (pair.id, pair.to_json()))
    waiting = dict(enumerate(ordered))
    dropped: list[Dropped] = []
    notes: list[str] = []
    for step in steps:
        if isinstance(step, RowWise):
            gone, tally = _pass(step, waiting)
            dropped += [_dropped(ordered[place], step.name, gone[place]) for place in sorted(gone)]
            with in_words(f"the curation step {step.name}", step):
                notes += [f"{step.name}: {note}" for note in step.notes(tally)]
    said: set[tuple[str, str, str]] = set()
    for place, pair in list(waiting.items()):
        chosen, rejected = _rows(pair)
        key = (prompt_text(chosen), answer_text(chosen), answer_text(rejected))
        if key[1] == key[2] or key in said:
            reason = "the answers are equal" if key[1] == key[2] else "an equal pair is kept"
            dropped.append(_dropped(waiting.pop(place), STEP, reason))
        said.add(key)
    dropped = mask([step for step in steps if isinstance(step, Masking)], dropped)
    counts = Counter(f"{row.step}: {row.reason.partition(':')[0]}" for row in dropped)
    changed = Counter(
        what
        for place, pair in waiting.items()
        for what in dict.fromkeys(pair.lineage.changes[len(ordered[place].lineage.changes) :])
    )
    ledger = Ledger(
        stage="curate preferences",
        rows_in=len(ordered),
        kept=len(waiting),
        dropped=dict(sorted(counts.items())),
        changed=dict(sorted(changed.items())),
        notes=tuple(notes),
    )
    return CuratedPairs(tuple(waiting.values()), tuple(dropped), ledger)


def _pass(step: RowWise, waiting: dict[int, Preference]) -> tuple[dict[int, str], Tally]:
    """Take from ``waiting`` what ``step`` drops, and change there what it changes; return the reasons by place."""
    gone: dict[int, str] = {}
    tally = Tally()
    for which, judge in enumerate((step.judge, step.judge_rejected)):
        rows = {place: _rows(pair)[which] for place, pair in waiting.items()}
        given = list(rows.values())
        with in_words(f"the curation step {step.name}", step):
            judged = judge(given)
        tally.update(judged.tally)
        kept = traced(step.name, given, judged.kept, judged.dropped)
        places = list(rows)
        left = {places[at]: row for at, row in kept}
        reasons: defaultdict[str, deque[str]] = defaultdict(deque)
        for row in judged.dropped:
            reasons[row.id].append(row.reason)
        for place, before in rows.items():
            if place not in left:
                gone[place] = reasons[before.id].popleft() + (" (in the rejected answer)" if which else "")
                del waiting[place]
            elif left[place] is not before:
                waiting[place] = _with(waiting[place], left[place], rejected=bool(which))
    return gone, tally


def _with(pair: Preference, row: Example, *, rejected: bool) -> Preference:
    """``pair`` with what a step made of one of its rows; of the prompt, with the chosen answer's."""
    changes = (*pair.lineage.changes, *(one for one in row.lineage.changes if one not in pair.lineage.changes))
    if rejected:
        lineage = pair.lineage.model_copy(update={"changes": changes})
        return pair.model_copy(update={"rejected": row.target, "lineage": lineage})
    lineage = row.lineage.model_copy(update={"changes": changes})
    return pair.model_copy(update={"prompt": row.prompt, "chosen": row.target, "lineage": lineage})


def _rows(pair: Preference) -> tuple[Example, Example]:
    """The prompt with the chosen, and with the rejected answer."""
    return with_answer(pair, pair.chosen), with_answer(pair, pair.rejected)


def _dropped(pair: Preference, step: str, reason: str) -> Dropped:
    return Dropped(id=pair.id, step=step, reason=reason, row=pair.to_json())
