"""Judgments as records to learn from: examples and preferences of the expert paradigm, with who, how sure and how long.

| work | becomes |
|---|---|
| write | an example of each answer |
| correct | an example of each answer; where something was changed, also a preference over the one that was there |
| rate | an example of the item's answer, if its score reaches ``threshold`` |
| label | an example whose answer is what was decided; several labels stand in their order, with commas |
| choose, rank | a preference for every two answers on which more than half of the people say so |
| spans | nothing: marks are no answers; they leave the store as judgments |

Every item that came in is kept or dropped for a reason (:class:`tutelage.records.Ledger` refuses to lose one).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.annotation.bundle import Bundle
from tutelage.annotation.decisions import Better, Decision, Way, decide, last_by_item
from tutelage.annotation.items import WorkItem
from tutelage.annotation.responses import Correction, Writing
from tutelage.annotation.views import Judgment
from tutelage.errors import DataError, Problem
from tutelage.records import (
    Cost,
    Dropped,
    Example,
    Ledger,
    Lineage,
    Preference,
    Verdict,
    assistant,
    content_id,
)

SOURCE = "annotation"


@dataclass(frozen=True, slots=True)
class Rules:
    """Which items become records: of at least ``people`` judgments (an adjudicator's alone suffices), of a disagreement
    of at most ``max_disagreement`` (None: any), rated answers from a score of ``threshold`` on; decided in which way.
    """

    people: int = 1
    threshold: float = 0.75
    max_disagreement: float | None = None
    way: Way = "majority"


@dataclass(frozen=True, slots=True)
class Exported:
    """What a project became, and what of its items did not."""

    examples: tuple[Example, ...]
    preferences: tuple[Preference, ...]
    dropped: tuple[Dropped, ...]
    ledger: Ledger


def export_records(bundle: Bundle, rules: Rules) -> Exported:
    """Return the records of a project. Raises :class:`DataError` for marks, and for rules that do not apply."""
    work = bundle.project.work
    _check(bundle, rules)
    texts = work.kind in ("write", "correct")
    decisions = decide(work, bundle.items, bundle.judgments, way="majority" if texts else rules.way)
    said = last_by_item(bundle.judgments)
    examples: dict[str, Example] = {}
    preferences: dict[str, Preference] = {}
    dropped: list[Dropped] = []
    for item in bundle.items:
        decision, judgments = decisions.get(item.id), said.get(item.id, [])
        reason = "nobody judged it" if decision is None else _reason_against(decision, rules)
        if decision is not None and not reason:
            made = _texts(item, decision, judgments) if texts else _decided(bundle, item, decision, judgments)
            if isinstance(made, str):
                reason = made
            elif not texts and work.kind == "rate" and (decision.score or 0.0) < rules.threshold - 1e-9:
                reason = f"its score is below {rules.threshold:g}"
            else:
                examples |= {one.id: one for one in made if isinstance(one, Example)}
                preferences |= {one.id: one for one in made if isinstance(one, Preference)}
        if reason:
            dropped.append(Dropped(id=item.id, step=SOURCE, reason=reason, row=item.to_json()))
    notes = [f"{len(examples)} examples and {len(preferences)} preferences from {len(said)} judged items"]
    lost = {one.id for one in dropped}
    decided = sum(len(one.better) for name, one in decisions.items() if name not in lost)
    equal = decided - len(preferences) if work.kind == "rank" else 0
    if equal:
        notes.append(f"{equal} decided pairs are in no record: their texts are equal, or stand in another record")
    ledger = Ledger(
        stage=SOURCE,
        rows_in=len(bundle.items),
        kept=len(bundle.items) - len(dropped),
        dropped=dict(Counter(one.reason for one in dropped)),
        notes=tuple(notes),
    )
    return Exported(tuple(examples.values()), tuple(preferences.values()), tuple(dropped), ledger)


def _check(bundle: Bundle, rules: Rules) -> None:
    problems = []
    kind = bundle.project.work.kind
    if kind == "spans":
        remedy = "take --to judgments, csv, argilla or label-studio"
        problems.append(Problem("marks are no answers to learn from", "work", kind, remedy))
    if rules.way != "majority" and kind in ("write", "correct", "rank"):
        problems.append(Problem(f"Dawid-Skene has no model of {kind}", "way", rules.way, "leave it out"))
    if rules.people < 1:
        problems.append(Problem("expected one judgment at least", "people", str(rules.people)))
    for name, value in (("threshold", rules.threshold), ("max_disagreement", rules.max_disagreement)):
        if value is not None and not 0 <= value <= 1:
            problems.append(Problem("expected a number from 0 to 1", name, str(value)))
    if rules.max_disagreement is not None and kind == "write":
        problems.append(
            Problem("nothing tells how far written answers agree", "max_disagreement", remedy="leave it out")
        )
    if problems:
        raise DataError(f"export of {bundle.project.name}", problems)


def _reason_against(decision: Decision, rules: Rules) -> str:
    if decision.adjudicated:
        return ""
    if decision.people < rules.people:
        return f"fewer than {rules.people} people judged it"
    most = rules.max_disagreement
    if most is not None and decision.disagreement is None:
        return "only one person judged it, so nothing tells how far people agree"
    if most is not None and decision.disagreement is not None and decision.disagreement > most + 1e-9:
        return f"people disagree by more than {most:g}"
    return ""


def _texts(item: WorkItem, decision: Decision, judgments: Sequence[Judgment]) -> list[Example | Preference]:
    """What people wrote, each text once with all who wrote it; where an adjudicator wrote, theirs alone."""
    final = [one for one in judgments if one.role == "adjudicator"]
    by_text: dict[str, list[Judgment]] = defaultdict(list)
    for one in final or judgments:
        if isinstance(one.response, Writing | Correction):
            by_text[one.response.text].append(one)
    made: list[Example | Preference] = []
    for text, same in by_text.items():
        verdict = _verdict(decision, score=1.0 if decision.adjudicated else None)
        lineage = _lineage(item, same, verdict=verdict if decision.adjudicated else None)
        made.append(_example(item, text, lineage))
        if isinstance(same[0].response, Correction) and text != item.answers[0].text:
            made.append(_preference(item, text, item.answers[0].text, lineage.model_copy(update={"cost": Cost()})))
    return made


def _decided(
    bundle: Bundle, item: WorkItem, decision: Decision, judgments: Sequence[Judgment]
) -> list[Example | Preference] | str:
    """What people decided about what is there; or why that is nothing."""
    kind = bundle.project.work.kind
    if kind == "rate":
        lineage = _lineage(item, judgments, verdict=_verdict(decision, score=decision.score))
        answer = item.answers[0]
        return [_example(item, answer.text, lineage.model_copy(update={"author": answer.author or "unknown"}))]
    if kind == "label":
        if decision.labels is None:
            return "as many people say one thing as another"
        if not decision.labels:
            return "no label applies"
        lineage = _lineage(item, judgments, verdict=_verdict(decision, score=1.0))
        return [_example(item, ", ".join(decision.labels), lineage)]
    if not decision.better:
        return "no more than half say that one answer is better"
    pairs = _pairs_of_texts(item, decision)
    made: list[Example | Preference] = []
    for (chosen, rejected), pair in pairs.items():
        verdict = _verdict(decision, score=1.0, share=pair.share)
        lineage = _lineage(item, judgments, verdict=verdict, records=len(pairs))
        made.append(_preference(item, chosen, rejected, lineage))
    return made or "the answers that people told apart are the same text"


def _pairs_of_texts(item: WorkItem, decision: Decision) -> dict[tuple[str, str], Better]:
    """What was decided, by the texts: each pair once, without those of equal texts, and of texts that stand both before
    and behind each other because an equal text has another place."""
    found = {(item.answer(one.better).text, item.answer(one.worse).text): one for one in decision.better}
    return {
        (chosen, rejected): one
        for (chosen, rejected), one in found.items()
        if chosen != rejected and (rejected, chosen) not in found
    }


def _verdict(decision: Decision, *, score: float | None, share: float | None = None) -> Verdict:
    """Who decided, of how many, and how far they agree, in words."""
    if decision.adjudicated:
        words = f"decided by an adjudicator after {decision.people} judgments"
    else:
        words = f"{decision.people} {'person' if decision.people == 1 else 'people'}"
    if share is not None and not decision.adjudicated:
        words += f", {share:.0%} say so"
    if decision.disagreement is not None:
        words += f", disagreement {decision.disagreement:.2f}"
    return Verdict(score=score, reason=words)


def _lineage(item: WorkItem, judgments: Sequence[Judgment], *, verdict: Verdict | None, records: int = 1) -> Lineage:
    """Who, and their minutes, shared among ``records``; unknown if one of them is."""
    seconds = [one.seconds for one in judgments]
    known = [one for one in seconds if one is not None]
    minutes = sum(known) / 60 / records if len(known) == len(seconds) else None
    return Lineage(
        paradigm="expert",
        source=SOURCE,
        author=", ".join(dict.fromkeys(one.annotator for one in judgments)),
        parents=(item.id,),
        verdicts=() if verdict is None else (verdict,),
        cost=Cost(human_minutes=minutes),
    )


def _example(item: WorkItem, answer: str, lineage: Lineage) -> Example:
    return Example(
        id=content_id(SOURCE, item.id, answer),
        messages=(*item.messages, assistant(answer)),
        lineage=lineage,
        task=item.task,
        dimension=item.dimension,
        level=item.level,
        facet=item.facet,
        group=item.group,
    )


def _preference(item: WorkItem, chosen: str, rejected: str, lineage: Lineage) -> Preference:
    return Preference(
        id=content_id(SOURCE, item.id, chosen, rejected),
        prompt=item.messages,
        chosen=assistant(chosen),
        rejected=assistant(rejected),
        lineage=lineage,
        task=item.task,
        dimension=item.dimension,
        level=item.level,
    )
