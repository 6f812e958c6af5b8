"""One score for an answer by a scale that a prompt describes, or the mean of several that were drawn.

Two scales: that of instruction back-translation (Li et al. 2023, five grades) and that of self-rewarding language
models (Yuan et al. 2024, points that are added up). Deviation: JSON with the reason first in place of a last line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tutelage.completers.replay import OpenCompleter
from tutelage.judging.fence import mark_for
from tutelage.judging.judge import Court, Judge, Judged, Question, Ruling, ask_judge, shown, texts_of
from tutelage.judging.pointwise import Scores
from tutelage.judging.reading import points_schema, read_points
from tutelage.judging.rubric import Rubric
from tutelage.judging.summary import summarize
from tutelage.records import Verdict
from tutelage.records.verdicts import CriterionScore
from tutelage.seeds import derive_seed

POINTS = "points"
"""The name of each single score in a verdict."""
LONGEST = 512
"""Of a score with its reason, in tokens."""
Rated = Ruling[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Scale:
    """The template that describes a scale, and the ends of it."""

    prompt: str
    low: int
    high: int

    def placed(self, score: float) -> float:
        """Return a score from 0 to 1: 0 is the scale's lowest, 1 its highest."""
        return (score - self.low) / (self.high - self.low)


CURATION = Scale("curation", 1, 5)
ADDITIVE = Scale("additive", 0, 5)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How often each answer is judged, at which temperature and nucleus, and the seed of the draws."""

    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


ONCE = Drawing()


def judge_points(
    open_completer: OpenCompleter,
    answers: Sequence[Judged],
    scale: Scale,
    *,
    name: str,
    court: Court,
    retries: int = 1,
    again: bool = False,
    drawing: Drawing = ONCE,
) -> Scores:
    """Return the verdict on each of ``answers``, whose ids are different, by the model ``name``.

    A verdict is the mean of the scores that could be read, of which it has each one with its reason; without any it is
    unscored. ``retries`` and ``again`` as in :class:`Judge`. Logs are written in the folder of ``court``; the same call
    again asks for nothing that they hold. Raises what :func:`ask_judge` raises.
    """
    judge = Judge(
        open=open_completer,
        name=name,
        rubric=Rubric((), scale.high, "mean"),
        references=False,
        max_tokens=LONGEST,
        retries=retries,
        again=again,
        temperature=drawing.temperature,
        top_p=drawing.top_p,
    )
    questions = [
        _question(one, judge, scale, seed=derive_seed(drawing.seed, one.id, number), number=number)
        for one in answers
        for number in range(drawing.samples)
    ]
    found = ask_judge(judge, questions, prompt=scale.prompt, court=court)
    size = drawing.samples
    groups = [found.rulings[at : at + size] for at in range(0, len(found.rulings), size)]
    verdicts = [_verdict(group, scale) for group in groups]
    kinds = [group[0].kind if verdict.score is None else None for group, verdict in zip(groups, verdicts, strict=True)]
    summary = summarize(court.label, verdicts, kinds, lengths=[len(one.text.split()) for one in answers])
    judging = found.judging(judged=len(answers), unscored=sum(kind is not None for kind in kinds))
    return Scores(verdicts, kinds, summary, judging, found.replies)


def _question(one: Judged, judge: Judge, scale: Scale, *, seed: int, number: int) -> Question[tuple[int, str]]:
    values = shown(one, judge)
    values |= {
        "mark": mark_for([*texts_of(values), one.text]),
        "answer": one.text,
        "low": scale.low,
        "high": scale.high,
    }
    read = partial(read_points, low=scale.low, high=scale.high)
    schema = points_schema(scale.low, scale.high)
    return Question(f"{one.id}/{number}", values, schema, read, seed=seed if judge.temperature else 0)


def _verdict(group: Sequence[Rated], scale: Scale) -> Verdict:
    read = [ruling for ruling in group if ruling.value is not None]
    if not read:
        first = group[0]
        return Verdict(score=None, reason=f"Not judged ({first.kind}): {first.why}", judge=first.judge)
    scores = [CriterionScore(name=POINTS, score=one.value[0], reason=one.value[1]) for one in read if one.value]
    mean = sum(one.score for one in scores) / len(scores)
    lowest = min(scores, key=lambda one: one.score)
    return Verdict(
        score=scale.placed(mean),
        reason=f"{mean:.3g} of {scale.high} points: {lowest.reason}",
        judge=read[0].judge,
        criteria=tuple(scores),
    )
