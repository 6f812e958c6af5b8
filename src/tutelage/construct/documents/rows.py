"""Rows from what the teacher said of passages, and rows whose passage does not hold the answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.completers.structured.asking import Ended
from tutelage.construct.documents.asking import PROMPT, Asked, Grounded
from tutelage.construct.prompts import version
from tutelage.recipe.sources.documents import DocumentsSource
from tutelage.records import (
    Conversation,
    Cost,
    Dropped,
    Evidence,
    Example,
    Lineage,
    PartVerdict,
    Sampling,
    Verdict,
    assistant,
    content_id,
    user,
)
from tutelage.records.documents import Passage
from tutelage.seeds import stream
from tutelage.text.repetition import longest_echo
from tutelage.text.verbatim import find_verbatim, plain
from tutelage.text.words import normalize

SOURCE = "documents"
TASK = "documents"
STATED, ABSENT = "stated", "absent"
OWN_RUN = 5
"""Words of a quote in a row that a passage may not have which is said not to hold the answer."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A question that was kept: what was asked, what came, what its row is made with."""

    asked: Asked
    value: Grounded
    row: Example


@dataclass(frozen=True, slots=True)
class Writer:
    """Makes rows of one round: the section, who taught, how it was sampled."""

    section: DocumentsSource
    author: str
    sampling: Sampling
    round: int

    def row(self, asked: Asked, ended: Ended[Grounded]) -> Kept:
        """Return the row of a question whose quotes were found."""
        assert ended.value is not None
        value, passage = ended.value, asked.passage
        evidence = _evidence(value, passage)
        parts = tuple(PartVerdict(name="quote", passed=True, reason=f"in the passage: {one.text}") for one in evidence)
        answer = value.answer.strip()
        row = self._example(
            _prompt(self.section, passage, value.question),
            answer,
            asked=asked,
            facet=STATED,
            lineage=Lineage(
                paradigm="distill",
                source=SOURCE,
                author=ended.answers[-1].by or self.author,
                parents=(passage.document, passage.id, ended.answers[-1].request_id),
                prompt=version(PROMPT),
                sampling=self.sampling,
                seed=ended.answers[-1].seed,
                round=self.round,
                verdicts=(Verdict(score=1.0, reason="Every quote stands in the passage.", parts=parts),),
                evidence=evidence,
                cost=Cost.of(ended.answers),
            ),
        )
        return Kept(asked, value, row)

    def abstaining(self, kept: Kept, other: Passage) -> Example:
        """Return the row of a kept question beside a passage that does not hold its answer."""
        lineage = kept.row.lineage
        reason = "None of the quotes that prove the answer stands in this passage."
        parents = (other.document, other.id, kept.row.id)
        return self._example(
            _prompt(self.section, other, kept.value.question),
            self.section.abstention.strip(),
            asked=Asked(passage=other, level=kept.asked.level),
            facet=ABSENT,
            lineage=lineage.model_copy(
                update={
                    "parents": parents,
                    "verdicts": (Verdict(score=1.0, reason=reason),),
                    "cost": Cost(prompt_tokens=0, completion_tokens=0),
                }
            ),
        )

    def _example(self, prompt: Conversation, answer: str, *, asked: Asked, facet: str, lineage: Lineage) -> Example:
        return Example(
            id=content_id(SOURCE, facet, [message.text for message in prompt], answer),
            messages=(*prompt, assistant(answer)),
            lineage=lineage,
            task=TASK,
            dimension="faithfulness" if self.section.form == "open_book" else "utility",
            level=asked.level,
            facet=facet,
            group=asked.passage.id,
        )


def once(kept: Sequence[Kept], *, closed: bool) -> tuple[list[Kept], list[Dropped]]:
    """Return each question once: of a passage, or where it is read without one, of all."""
    seen: dict[tuple[str, str], str] = {}
    left: list[Kept] = []
    dropped: list[Dropped] = []
    for one in kept:
        key = ("" if closed else one.asked.passage.id, normalize(one.value.question))
        if key in seen:
            reason = "the same question was kept before"
            dropped.append(
                Dropped(id=one.row.lineage.parents[-1], step="questions", reason=reason, row=one.row.to_json())
            )
        else:
            seen[key] = one.row.id
            left.append(one)
    return left, dropped


def abstentions(
    kept: Sequence[Kept], passages: Sequence[Passage], writer: Writer, *, seed: int
) -> tuple[list[Example], list[Dropped]]:
    """Return rows that abstain, so many that they are ``unanswerable`` of all rows, and questions that gave none.

    Of the passages that hold no quote of a question, no five words of one in a row and not the answer, the row has the
    one that shares most words with the question, those of the same document first: it must not be told by its subject
    that the answer is not there. That no such passage answers the question in other words is not verified.
    """
    share = writer.section.unanswerable
    wanted = round(len(kept) * share / (1 - share))
    order = list(kept)
    stream(seed, "abstentions").shuffle(order)
    rows: list[Example] = []
    dropped: list[Dropped] = []
    for one in order:
        if len(rows) == wanted:
            break
        fit = [passage for passage in passages if _lacks(passage, one)]
        if not fit:
            reason = "every other passage has words of its quotes or its answer"
            dropped.append(Dropped(id=one.row.id, step="abstentions", reason=reason, row=one.row.to_json()))
            continue
        rows.append(writer.abstaining(one, max(fit, key=lambda passage: _nearness(passage, one))))
    return rows, dropped


def _lacks(passage: Passage, kept: Kept) -> bool:
    if passage.id == kept.asked.passage.id:
        return False
    text, said = plain(passage.text), normalize(passage.text)
    return (
        all(find_verbatim(quote, text) is None for quote in kept.value.quotes)
        and all(longest_echo(quote, passage.text) < OWN_RUN for quote in kept.value.quotes)
        and f" {normalize(kept.value.answer)} " not in f" {said} "
    )


def _nearness(passage: Passage, kept: Kept) -> tuple[bool, float, str]:
    asked = set(normalize(kept.value.question).split())
    shared = len(asked & set(normalize(passage.text).split())) / max(1, len(asked))
    return passage.document == kept.asked.passage.document, shared, passage.id


def _prompt(section: DocumentsSource, passage: Passage, question: str) -> Conversation:
    asked = question.strip()
    return (user(asked if section.form == "closed_book" else f"{passage.text}\n\n{asked}"),)


def _evidence(value: Grounded, passage: Passage) -> tuple[Evidence, ...]:
    """The quotes with their places in the document."""
    text = plain(passage.text)
    spans = [span for quote in value.quotes if (span := find_verbatim(quote, text)) is not None]
    return tuple(
        Evidence(
            document=passage.name,
            section=passage.section,
            start=passage.start + start,
            end=passage.start + end,
            text=passage.text[start:end],
        )
        for start, end in dict.fromkeys(spans)
    )
