"""STaR, what is asked (Zelikman et al. 2022, section 3): reasons and an answer, first alone, then of one that is told.

Deviations: a model that follows instructions is asked for JSON after examples in one turn, in place of a base model
that continues them; reasons that are empty, an echo, or come to another answer are dropped by program, and where the
answer was told also those that speak of it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tutelage.completers.structured.asking import Ended
from tutelage.construct.prompts import render
from tutelage.construct.rationales.asking import FORM, answer_of
from tutelage.construct.rationales.examining import Examiner, Reasoned, Shown
from tutelage.construct.sampling import Sampler
from tutelage.construct.speaker import Speaker
from tutelage.recipe.sources import StarSource
from tutelage.records import (
    Answer,
    Conversation,
    Item,
    Message,
    Request,
    Sampling,
    Verdict,
    assistant,
    user,
)
from tutelage.records.jsonl import read_records
from tutelage.records.reasoned import Reasoned as Demonstrated
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed

RATIONALE, RATIONALIZATION = "star_rationale", "star_rationalization"
WRONG = "the answer is not right"
NOT_WITH_REASONS = "the answer is not right with the reasoning before it"
NEVER_CAME = "no answer came"

_TOLD = re.compile(
    r"\bhints?\b"
    r"|\b(?:given|provided|stated|supplied|known)\s+(?:(?:right|correct|final)\s+)?(?:answer|solution)\b"
    r"|\b(?:right|correct|final)\s+answer\s+(?:is|was)\s+(?:given|provided|stated|known|said|told)\b"
    r"|\btold\s+(?:the|this|its)\s+(?:(?:right|correct)\s+)?(?:answer|solution|result)\b"
    r"|(?:^|(?<=[.!?]\s))as\s+(?:I|we)\s+(?:was|were)\s+told\b"
    r"|\baccording\s+to\s+the\s+(?:(?:right|correct)\s+)?answer\b|\bright_answer\b",
    re.IGNORECASE,
)
_BEGINS_WITH_IT = re.compile(
    r"\b(?:right|correct|known)\s+answer\b"
    r"|\bknown?\b.{0,20}\banswer\b|\banswer\b.{0,20}\bknown\b"
    r"|\b(?:since|because|as)\s+the\s+answer\s+is\b",
    re.IGNORECASE,
)
"""What speaks of the answer before anything was reasoned; at the end the same words are a conclusion."""
_OPENING = re.compile(r".*?(?=[.!?](?:\s|$)|\b(?:so|thus|therefore|hence)\b|$)", re.IGNORECASE | re.DOTALL)
"""The first sentence, up to what it concludes."""


@dataclass(slots=True)
class Attempt:
    """An item on its way: every reply so far, and the reasons and the answer that were right, if any were."""

    item: Item
    replies: list[Answer] = field(default_factory=list)
    reasoning: str = ""
    answer: Answer | None = None
    verdict: Verdict | None = None
    hinted: bool = False
    wrong: str = ""
    settled: bool = False
    """Whether an answer was right, kept or not, or could not be checked: no wrong one is there to be told the right."""

    @property
    def came(self) -> bool:
        """Whether any reply came."""
        return any(answer.finish != "error" for answer in self.replies)


def demonstrations_of(section: StarSource, base: Path) -> list[Demonstrated]:
    """Return the questions with reasons of a section's file.

    Raises :class:`tutelage.errors.DataError` where it has none, or with every line that is none.
    """
    return read_records(base / section.demonstrations, Demonstrated, required=True)


@dataclass(frozen=True, slots=True)
class Reasoner:
    """Asks the student in a round; ``shown`` are the questions with reasons."""

    section: StarSource
    speaker: Speaker
    shown: Sequence[Demonstrated]

    @property
    def sampler(self) -> Sampler:
        """The round's."""
        return self.speaker.sampler

    @property
    def sampling(self) -> Sampling:
        """How replies are drawn."""
        section = self.section
        return Sampling(
            temperature=section.temperature, top_p=self.sampler.section.top_p, max_tokens=section.max_tokens
        )

    def reason(self, attempts: Sequence[Attempt]) -> None:
        """Ask for reasons and answers to the items of ``attempts``, and enter what came.

        Raises what :meth:`Speaker.ask` and the checks of the tasks raise.
        """
        self._ask("rationales", attempts, hinted=False, samples=self.section.samples)

    def rationalize(self, attempts: Sequence[Attempt]) -> None:
        """Ask for reasons of the known answers, which every item here has, and enter what came."""
        self._ask("rationalizations", attempts, hinted=True, samples=1)

    def turn(self, reasoning: str, answer: str) -> Message:
        """Return reasons and answer as they are learned."""
        if self.section.place == "answer":
            return assistant(f"{reasoning}\n\n{answer}")
        return assistant(answer).model_copy(update={"reasoning": reasoning})

    def _ask(self, label: str, attempts: Sequence[Attempt], *, hinted: bool, samples: int) -> None:
        requests = [
            self._request(attempt.item, label, number, hinted=hinted)
            for attempt in attempts
            for number in range(samples)
        ]
        if not requests:
            return
        context = tuple(turn for one in self.shown for turn in _as_turns(one))
        questions = [attempt.item.messages[-1].text for attempt in attempts for _ in range(samples)]
        shown = {request.id: Shown(question, context) for request, question in zip(requests, questions, strict=True)}
        examine = _NotTold(shown, self.section.max_words) if hinted else Examiner(shown, self.section.max_words)
        ends = self.speaker.ask(label, requests, form=FORM, examine=examine)
        groups = [ends[at : at + samples] for at in range(0, len(ends), samples)]
        self._enter(attempts, groups, hinted=hinted)

    def _enter(self, attempts: Sequence[Attempt], groups: Sequence[Sequence[Ended[Reasoned]]], *, hinted: bool) -> None:
        flat = [(attempt, end) for attempt, group in zip(attempts, groups, strict=True) for end in group]
        verdicts = self._verdicts(flat)
        for attempt in attempts:
            attempt.wrong = ""
        for (attempt, end), (verdict, wrong) in zip(flat, verdicts, strict=True):
            attempt.replies += end.answers
            attempt.settled |= end.value is not None and (verdict.passed or verdict.score is None)
            if attempt.answer is not None:
                continue
            if wrong:
                attempt.wrong = attempt.wrong if attempt.wrong and wrong.startswith(NEVER_CAME) else wrong
                continue
            assert end.value is not None
            attempt.reasoning, attempt.answer = end.value.reasoning.strip(), answer_of(end)
            attempt.verdict, attempt.hinted, attempt.wrong = verdict, hinted, ""

    def _verdicts(self, flat: Sequence[tuple[Attempt, Ended[Reasoned]]]) -> list[tuple[Verdict, str]]:
        """What the check says of each answer alone, and why it is not kept; "": it is."""
        items, answers = [attempt.item for attempt, _ in flat], [_said(end) for _, end in flat]
        alone = [sample.verdict for sample in self.sampler.check(items, answers)]
        both = alone
        if self.section.place == "answer":
            texts = [
                self.turn(end.value.reasoning.strip(), answer.text).text if end.value is not None else ""
                for (_, end), answer in zip(flat, answers, strict=True)
            ]
            whole = [answer.model_copy(update={"text": text}) for answer, text in zip(answers, texts, strict=True)]
            both = [sample.verdict for sample in self.sampler.check(items, whole)]
        return [
            (verdict, _why_not(end, verdict, together))
            for (_, end), verdict, together in zip(flat, alone, both, strict=True)
        ]

    def _request(self, item: Item, label: str, number: int, *, hinted: bool) -> Request:
        examples = [
            {
                "question": one.prompt.strip(),
                "hint": one.answer.strip(),
                "reply": json.dumps({"reasoning": one.reasoning, "answer": one.answer}, ensure_ascii=False),
            }
            for one in self.shown
        ]
        prompt = render(
            RATIONALIZATION if hinted else RATIONALE,
            examples=examples,
            max_words=str(self.section.max_words),
            question=item.messages[-1].text.strip(),
            hint=(item.reference or "").strip(),
        )
        return Request(
            id=f"{item.id}/{label}/{number}",
            messages=(*item.messages[:-1], user(prompt)),
            sampling=self.sampling,
            seed=derive_seed(self.sampler.seed, self.section.folder, label, item.id, number),
        )


class _NotTold:
    """Says what is wrong with reasons for an answer that was told."""

    def __init__(self, shown: Mapping[str, Shown], max_words: int) -> None:
        self._shown, self._examine = shown, Examiner(shown, max_words)

    def __call__(self, request: Request, value: Reasoned) -> Loss | None:
        if loss := self._examine(request, value):
            return loss
        question = self._shown[request.id].question.lower()
        opening = _OPENING.match(value.reasoning.strip())
        found = [*_TOLD.finditer(value.reasoning), *_BEGINS_WITH_IT.finditer(opening[0] if opening else "")]
        told = [match[0] for match in found if match[0].lower() not in question]
        if told:
            return Loss(stage="rejected", reason="the reasoning speaks of having been told the answer", detail=told[0])
        return None


def _as_turns(one: Demonstrated) -> Conversation:
    """A question with reasons as what must not be copied from."""
    return user(one.prompt), assistant(f"{one.reasoning} {one.answer}")


def _said(end: Ended[Reasoned]) -> Answer:
    """The answer that was found in a reply, whether its reasons can be used or not."""
    answer = answer_of(end)
    if end.value is None or answer.finish == "error":
        return answer
    return answer.model_copy(update={"text": end.value.answer.strip()})


def _why_not(end: Ended[Reasoned], alone: Verdict, together: Verdict) -> str:
    if end.loss is not None:
        last = end.answers[-1]
        if last.finish == "error":
            return f"{NEVER_CAME}: {last.error}"
        return f"{end.loss.reason}: {end.loss.detail}" if end.loss.detail else end.loss.reason
    if alone.score is None:
        return f"nobody could check it: {alone.reason}"
    if not alone.passed:
        return f"{WRONG}: {alone.reason}"
    return "" if together.passed else f"{NOT_WITH_REASONS}: {together.reason}"
