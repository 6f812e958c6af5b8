"""Rows of a file as cases, and cases as rows and preferences with their lineage."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tutelage.construct.given import Given, as_given, is_text
from tutelage.construct.sampling import Sample, Sampler
from tutelage.errors import DataError, Problem
from tutelage.records import Answer, Dropped, Example, Paradigm, Preference, Sampling, Verdict
from tutelage.records.importers import import_examples

SOURCE = "reflection"
AUTHOR = "expert"
"""Who wrote the rows of a file that does not say it, as everywhere with rows of a user's own."""


@dataclass(frozen=True, slots=True)
class Case:
    """A row on its way: as it was, its prompt and answer as they stand, by which prompts that was asked, the replies
    that changed it, and every reply that it took."""

    row: Example
    before: Given
    given: Given
    answer: Answer
    prompts: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    replies: tuple[Answer, ...] = ()

    @classmethod
    def begin(cls, row: Example) -> "Case":
        """Return the case of a row before anything was reflected on."""
        given = as_given(
            row.prompt,
            id=row.id,
            task=row.task or SOURCE,
            dimension=row.dimension,
            level=row.level,
            facet=row.facet,
            group=row.group or row.id,
        )
        return cls(row, given, given, Answer(request_id=row.id, text=row.target.text))

    @property
    def original(self) -> Answer:
        """The answer as it was."""
        return Answer(request_id=self.row.id, text=self.row.target.text)

    @property
    def same_prompt(self) -> bool:
        """Whether the instruction is what it was."""
        return self.given.item.messages == self.before.item.messages

    @property
    def changed(self) -> bool:
        """Whether anything is not what it was."""
        return not self.same_prompt or self.answer.text.strip() != self.row.target.text.strip()


def read_cases(path: Path) -> list[Example]:
    """Return the rows of a file, each once.

    Raises what :func:`import_examples` raises, and :class:`DataError` where two rows have one id.
    """
    rows = list({row.messages: row for row in reversed(import_examples(path, author=AUTHOR))}.values())[::-1]
    numbers = Counter(row.id for row in rows)
    if twice := [name for name, number in numbers.items() if number > 1]:
        what, remedy = "different rows have one id", "give each its own"
        raise DataError(str(path), [Problem(what, "id", name, remedy) for name in twice[:20]])
    return rows


def begin(rows: Sequence[Example]) -> tuple[list[Case], list[Dropped]]:
    """Return the cases of rows of one question and one answer in words, and the rows that are something else."""
    cases: list[Case] = []
    dropped: list[Dropped] = []
    for row in rows:
        roles = [message.role for message in row.messages if message.role != "system"]
        reason = "the row holds more than text" if not is_text(row.messages) else ""
        reason = reason or ("" if roles == ["user", "assistant"] else "the row is no single question with its answer")
        if reason:
            dropped.append(Dropped(id=row.id, step="rows", reason=reason, row=row.to_json()))
        else:
            cases.append(Case.begin(row))
    return cases, dropped


@dataclass(frozen=True, slots=True)
class Writer:
    """Who reflects, of which paradigm, and how that is drawn."""

    sampler: Sampler
    author: str
    paradigm: Paradigm
    drawn: Sampling

    def row(self, case: Case, verdict: Verdict) -> Example:
        """Return the row of a case. Of a rewritten instruction nobody knows the level.

        Its cost is all that was asked for it.
        """
        row = self.sampler.example(
            Sample(case.given.item, case.answer, verdict),
            paradigm=self.paradigm,
            source=SOURCE,
            author=self.author,
            spent=case.replies,
            prompt=" ".join(case.prompts),
            parents=[one for one in case.parents if one != case.answer.request_id],
        )
        lineage = row.lineage.model_copy(update={"sampling": self.drawn})
        return row.model_copy(update={"level": case.given.level if case.same_prompt else None, "lineage": lineage})

    def pair(self, row: Example, case: Case, new: Verdict, old: Verdict) -> Preference | None:
        """Return the new answer and the old one to the same instruction as a pair, if a judge puts them far enough
        apart; None: nobody has said that the new one is better."""
        if not case.same_prompt:
            return None
        item = case.given.item
        return self.sampler.judged_preference(row, [Sample(item, case.answer, new)], [Sample(item, case.original, old)])

    def kept(self, case: Case, verdict: Verdict) -> Example:
        """Return the row as it was, with what the judge said of it."""
        lineage = case.row.lineage
        verdicts = (*lineage.verdicts, verdict)
        return case.row.model_copy(update={"lineage": lineage.model_copy(update={"verdicts": verdicts})})
