"""One step: each answer is criticized by a principle, and revised where the critique finds a fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from tutelage.completers.structured.forms import form_of
from tutelage.construct.approval import Written, form_of_answer
from tutelage.construct.constitution.checks import fault
from tutelage.construct.constitution.principles import Principle
from tutelage.construct.given import Given
from tutelage.construct.prompts import render
from tutelage.construct.speaker import Speaker, lost
from tutelage.records import Answer, Conversation, Dropped, Request, Sampling, assistant, user
from tutelage.records.structured import Loss
from tutelage.seeds import derive_seed

CRITIQUE, REVISION = "constitution_critique", "constitution_revision"


class Critique(BaseModel):
    """What is wrong with an answer, and whether anything is."""

    model_config = ConfigDict(extra="forbid")

    critique: str
    fault: bool


FORM = form_of(Critique)


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt on its way: the principles that were drawn for it, its first answer, the one that stands now, how many
    revisions lie between, and every reply that it took."""

    given: Given
    principles: tuple[Principle, ...]
    first: Answer
    current: Answer
    parents: tuple[str, ...]
    replies: tuple[Answer, ...]
    revised: int = 0

    @classmethod
    def begin(cls, given: Given, principles: Sequence[Principle], answer: Answer) -> "Case":
        """Return the case before its first critique."""
        return cls(given, tuple(principles), answer, answer, (), (answer,))

    @property
    def text(self) -> str:
        """The answer as it stands."""
        return self.current.text.strip()


@dataclass(frozen=True, slots=True)
class Criticized:
    """What came of a step of critiques: cases with a fault, each with what was said, cases without, and the lost."""

    at_fault: list[tuple[Case, str]]
    faultless: list[Case]
    dropped: list[Dropped]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a round: its number, from 1, who criticizes and revises, and how that is drawn."""

    number: int
    critic: Speaker
    critiques: Sampling
    answers: Mapping[str, Sampling]
    seed: int

    def criticize(self, cases: Sequence[Case]) -> Criticized:
        """Return what a critique by the principle of this step says of each answer.

        Raises what :meth:`Speaker.ask` raises.
        """
        label = f"critiques-{self.number}"
        requests = [
            Request(
                id=f"{case.given.item.id}/{label}",
                messages=(*_before(case), user(self._asked(case, form="yes"))),
                sampling=self.critiques,
                seed=derive_seed(self.seed, label, case.given.item.id),
            )
            for case in cases
        ]
        found = Criticized([], [], [])
        for case, end in zip(cases, self.critic.ask(label, requests, form=FORM, examine=examine), strict=True):
            if end.loss is not None or end.value is None:
                found.dropped.append(lost(end, label))
                continue
            after = replace(
                case,
                parents=(*case.parents, case.current.request_id, end.answers[-1].request_id),
                replies=(*case.replies, *end.answers),
            )
            if end.value.fault:
                found.at_fault.append((after, end.value.critique.strip()))
            else:
                found.faultless.append(after)
        return found

    def revise(self, at_fault: Sequence[tuple[Case, str]]) -> tuple[list[Case], list[Dropped]]:
        """Return the cases with their revised answers, and those whose revision cannot be used.

        Raises what :meth:`Speaker.answer` raises.
        """
        label = f"revisions-{self.number}"
        requests = [
            Request(
                id=f"{case.given.item.id}/{label}",
                messages=(
                    *_before(case),
                    user(self._asked(case, form="")),
                    assistant(critique),
                    user(render(REVISION, revision=self._principle(case).revision)),
                ),
                sampling=self.answers[case.given.item.id],
                seed=derive_seed(self.seed, label, case.given.item.id),
            )
            for case, critique in at_fault
        ]
        kept: list[Case] = []
        dropped: list[Dropped] = []
        for (case, _), answer in zip(at_fault, self.critic.answer(label, requests), strict=True):
            reason = self._unfit(case, answer)
            if reason:
                dropped.append(Dropped(id=answer.request_id, step=label, reason=reason, row=answer.to_json()))
                continue
            kept.append(replace(case, current=answer, replies=(*case.replies, answer), revised=case.revised + 1))
        return kept, dropped

    def _principle(self, case: Case) -> Principle:
        return case.principles[self.number - 1]

    def _asked(self, case: Case, *, form: str) -> str:
        principle = self._principle(case)
        return render(CRITIQUE, principle=principle.principle, critique=principle.critique, form=form)

    def _unfit(self, case: Case, answer: Answer) -> str:
        if answer.finish == "error":
            return f"no revision came: {answer.error}"
        form = form_of_answer(Written(case.given, answer))
        if form.score == 0:
            return f"the revision is not right in form: {form.reason}"
        return fault(answer.text, before=case.text, prompt=case.given.item.prompt, principle=self._principle(case))


def examine(request: Request, value: Critique) -> Loss | None:
    """Return what is wrong with a critique of the right form: it finds a fault and does not say which."""
    if value.fault and not value.critique.strip():
        return Loss(stage="rejected", reason="it finds a fault and does not say which")
    return None


def _before(case: Case) -> Conversation:
    return (*case.given.item.messages, assistant(case.text))
