"""Rows with what an endpoint said of its answers beside them: found in its logs, compared token by token, counted."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tutelage.errors import Problem, RecipeError, RunError, TrainingError
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.models.token_bytes import TokenBytes, token_bytes_of
from tutelage.pipeline.encoding import Encoding, TrainingRow
from tutelage.recipe import Recipe
from tutelage.recipe.objectives import KdAnswersObjective, told_by
from tutelage.records import Answer, Example
from tutelage.records.jsonl import RecordLog
from tutelage.runs import RunDirectory
from tutelage.tune.rows import Told
from tutelage.tune.told import Untold, tell

LOGS = ("teacher.jsonl", "fallback.jsonl")
"""Of a round's construct stage, what teachers answered."""
SILENT = "nothing was said of its tokens"
Answers = Mapping[str, Sequence[Answer]]


@dataclass(slots=True)
class Found:
    """What came of the rows: ``told`` with distributions, ``others`` that no log has, and why the rest has none, the
    first row of each reason in full."""

    told: int = 0
    others: int = 0
    untold: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def words(self, section: KdAnswersObjective) -> str:
        """The counts in a sentence."""
        total = self.told + self.others + self.untold.total()
        parts = [f"{self.told:,} of {total:,} rows learn from what the endpoint said of their tokens"]
        then = "are learned as they are written" if section.unmatched == "sequence" else "are dropped"
        for reason, count in self.untold.most_common():
            parts.append(f"{count:,} {then}: {reason} (the first: {self.first[reason]})")
        if self.others:
            parts.append(f"{self.others:,} are of others than the endpoint and are learned as they are written")
        return "; ".join(parts)


def with_told(
    encoding: Encoding,
    rows: Sequence[TrainingRow],
    section: KdAnswersObjective,
    *,
    logs: Sequence[Path],
    bundle: Bundle,
) -> tuple[Encoding, str]:
    """Return ``encoding`` with what ``logs`` of answers say of its rows' tokens, and a sentence of counts.

    A row's answer is found by the requests that its lineage names. In a run, where controls and rounds may have no row
    of the endpoint's, nothing is refused for that.

    Raises
    ------
    TrainingError: ``section`` names logs, and of no row anything that they say can be used. RunError: a log is not
    there. DataError: one is damaged.
    """
    said = _answers(logs, {parent for row in rows if isinstance(row, Example) for parent in row.lineage.parents})
    tokens = token_bytes_of(bundle.tokenizer)
    found, refused = Found(), dict(encoding.refused)
    kept: list[tuple[int, Encoded]] = []
    for place, document in zip(encoding.places, encoding.encoded, strict=True):
        row = rows[place]
        assert isinstance(document, Encoded)
        assert isinstance(row, Example)
        answers = [answer for parent in row.lineage.parents for answer in said.get(parent, ())]
        made, why = _tell(document, answers, tokens, section, end=bundle.template.end_ids[0])
        if isinstance(made, Told):
            found.told += 1
        elif not answers:
            found.others += 1
        else:
            reason, _, detail = why.partition(": ")
            found.untold[reason] += 1
            found.first.setdefault(reason, f"row {row.id}{f', {detail}' if detail else ''}")
            if section.unmatched == "drop":
                refused[place] = f"not told by the endpoint: {why}"
                continue
        kept.append((place, made))
    if not found.told and section.answers:
        raise TrainingError(
            "of no row anything that the endpoint said can be used",
            where="tune.objective",
            received=found.words(section),
            remedy="ask it with construct.distill.top_logprobs, take a student with its tokenizer, or learn with: sft",
        )
    made_rows = replace(
        encoding, encoded=[row for _, row in kept], places=[place for place, _ in kept], refused=refused
    )
    return made_rows, found.words(section)


def logs_of_run(run: RunDirectory, round: int) -> list[Path]:
    """Return the logs of what teachers answered up to ``round``."""
    folders = [run.round(before) / "construct" for before in range(1, round + 1)]
    return [folder / name for folder in folders for name in LOGS if (folder / name).is_file()]


def logs_of_recipe(recipe: Recipe) -> list[Path]:
    """Return the logs that the objective of ``recipe`` names; none where it learns from no answers.

    Raises :class:`RecipeError` where it does and names none.
    """
    section = told_by(recipe.tune.objective)
    if section is None:
        return []
    if not section.answers:
        what = "no log of answers is named, and what an endpoint said stands there"
        remedy = "give some: answers: [runs/NAME/rounds/1/construct/teacher.jsonl]"
        raise RecipeError(recipe.name, [Problem(what, "tune.objective.answers", "none", remedy)])
    return [recipe.folder / path for path in section.answers]


def problems_in_a_run(recipe: Recipe) -> Iterator[Problem]:
    """What keeps a run from learning what its own teacher said."""
    section, distill = told_by(recipe.tune.objective), recipe.construct.distill
    if section is None:
        return
    if section.answers:
        what, remedy = (
            "a run reads the answers of its own teacher",
            "leave it out, or learn from these with: tutelage tune",
        )
        yield Problem(what, "tune.objective.answers", ", ".join(section.answers), remedy)
    if distill is None or distill.top_logprobs is None:
        what = "kd_answers learns what a teacher said of its tokens, and it is not asked for it"
        yield Problem(what, "construct.distill.top_logprobs", "null", "set it, 20 for example; or take sft")


def _answers(logs: Sequence[Path], wanted: set[str]) -> Answers:
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    for log in logs:
        if not log.is_file():
            remedy = "give the log of a run that asked an endpoint (tune.objective.answers)"
            raise RunError("no such log of answers", where=str(log), remedy=remedy)
        for answer in RecordLog(log, Answer).load():
            if answer.request_id in wanted and answer.finish != "error":
                found[answer.request_id].append(answer)
    return found


def _tell(
    document: Encoded, answers: Sequence[Answer], tokens: TokenBytes | None, section: KdAnswersObjective, *, end: int
) -> tuple[Encoded, str]:
    """The document told by the first of ``answers`` that can be used, or as it is and why none can."""
    why = SILENT
    for answer in answers:
        if answer.choices is None:
            continue
        if tokens is None:
            return document, "the student's tokens do not stand for bytes"
        try:
            return tell(document, answer.choices, tokens, end=end, top_k=section.top_k), ""
        except Untold as fault:
            why = str(fault)
    return document, why
