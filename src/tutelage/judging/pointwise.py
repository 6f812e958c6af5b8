"""One answer at a time: a score for each criterion with its reason, and one verdict of them.

Grading by a rubric in the manner of Zheng et al. 2023 (MT-Bench, single answer, reference-guided where one is known)
and Liu et al. 2023 (G-Eval, reason before score). Deviations: criteria are scored apart in one reply, and the
combination is the rubric's (the weakest side by default).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tutelage.judging.fence import mark_for
from tutelage.judging.judge import Court, Judge, Judged, Question, Ruling, ask_judge, shown, texts_of
from tutelage.judging.reading import Kind, read_scores, scores_schema
from tutelage.judging.rubric import LOW, Rubric
from tutelage.judging.summary import summarize
from tutelage.records import Answer, Verdict
from tutelage.records.judging import JudgedSet, Judging
from tutelage.records.verdicts import CriterionScore

PROMPT = "pointwise"


@dataclass(frozen=True, slots=True)
class Scores:
    """A verdict for each answer, in order; why those without a score have none; the set, the cost, every reply."""

    verdicts: list[Verdict]
    unscored: list[Kind | None]
    summary: JudgedSet
    judging: Judging
    replies: list[Answer]


def judge_each(judge: Judge, answers: Sequence[Judged], *, court: Court) -> Scores:
    """Return the verdict of ``judge`` on each of ``answers``, whose ids are different.

    Equal texts to one item are asked about once. Logs are written in the folder of ``court``; the same call again asks
    for nothing that they hold.
    """
    asked = {_content(one): one for one in reversed(answers) if one.is_text}
    questions = [_question(one, judge) for one in reversed(asked.values())]
    found = ask_judge(judge, questions, prompt=PROMPT, court=court)
    by_id = {question.id: ruling for question, ruling in zip(questions, found.rulings, strict=True)}
    rulings = [by_id[asked[_content(one)].id] if one.is_text else None for one in answers]
    verdicts = [_verdict(ruling, judge.rubric) for ruling in rulings]
    kinds: list[Kind | None] = ["not text" if ruling is None else ruling.kind for ruling in rulings]
    summary = summarize(court.label, verdicts, kinds, lengths=[len(one.text.split()) for one in answers])
    unscored = sum(kind is not None for kind in kinds)
    return Scores(verdicts, kinds, summary, found.judging(judged=len(answers), unscored=unscored), found.replies)


def _content(one: Judged) -> tuple[str, str]:
    return one.item.id, one.text


def _question(one: Judged, judge: Judge) -> Question[tuple[CriterionScore, ...]]:
    values, rubric = shown(one, judge), judge.rubric
    form = {criterion.name: {"reason": "one sentence", "score": LOW} for criterion in rubric.criteria}
    values |= {
        "mark": mark_for([*texts_of(values), one.text]),
        "answer": one.text,
        "criteria": rubric.criteria,
        "low": LOW,
        "high": rubric.high,
        "form": json.dumps(form).replace(f'"score": {LOW}', '"score": a whole number'),
    }
    return Question(one.id, values, scores_schema(rubric), partial(read_scores, rubric=rubric))


def _verdict(ruling: Ruling[tuple[CriterionScore, ...]] | None, rubric: Rubric) -> Verdict:
    if ruling is None:
        return Verdict(score=None, reason="The request holds more than text, and this judge reads text alone.")
    if ruling.value is None:
        return Verdict(score=None, reason=f"Not judged ({ruling.kind}): {ruling.why}", judge=ruling.judge)
    weak = [one for one in ruling.value if one.score < rubric.high]
    reason = " ".join(one.reason for one in weak if one.reason) or "By every criterion the answer is as it should be."
    return Verdict(score=rubric.score(ruling.value), reason=reason, judge=ruling.judge, criteria=ruling.value)
