"""What is said to a failed attempt: the reason of its check, or a critique that the teacher makes of that reason.

A program says what is wrong, seldom how to put it right. A critic that sees the task, the attempt and the program's
reason can (critiques by a model: Saunders et al. 2022; revision after feedback: Madaan et al. 2023; a teacher's
feedback to a smaller student: Lu et al. 2023). The student revises, the check decides, and it learns the revision
alone. A critique that holds the answer would have the student copy it: where the item's reference is known, what gives
it away is dropped and the check's reason is said instead.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.construct.prompts import render
from tutelage.construct.sampling import Asker, Meter, Sample, Sampler
from tutelage.construct.speaker import Speaker
from tutelage.events import Event
from tutelage.judging.fence import mark_for
from tutelage.records import Answer, Request, user
from tutelage.records.lineage import total
from tutelage.seeds import derive_seed
from tutelage.text.repetition import longest_echo
from tutelage.text.words import normalize

LABEL = "critiques"
GIVEN_AWAY = 8
"""Words in a row of the reference, beyond those that the attempt has too, with which a critique gives it away."""


@dataclass(frozen=True, slots=True)
class Critique:
    """What is said to the student; ``by`` whom, empty for the program; ``answers`` are what the critic wrote for it."""

    text: str
    by: str = ""
    answers: tuple[Answer, ...] = ()


def criticize(attempts: Sequence[Sample], sampler: Sampler, critic: Asker | None) -> list[Critique]:
    """Return what is said to each of ``attempts``, which failed; by ``critic``, if there is one, where it is of use.

    What the critic wrote is logged as ``critiques.jsonl`` and put on the meter of self-improvement. Raises what
    :meth:`Speaker.answer` raises.
    """
    plain = [Critique(render("critique", reason=_reason(sample))) for sample in attempts]
    if critic is None or not attempts:
        return plain
    answers = _asked(attempts, sampler, critic)
    faults = [_fault(sample, answer) for sample, answer in zip(attempts, answers, strict=True)]
    if any(faults):
        lost = "; ".join(f"{count:,} {fault}" for fault, count in Counter(filter(None, faults)).items())
        text = f"{LABEL}: {sum(map(bool, faults)):,} of {len(answers):,} are not used, the check speaks instead: {lost}"
        sampler.emit(Event("note", data={"text": text}))
    return [
        Critique(said.text, answers=(answer,))
        if fault
        else Critique(render("critique", reason=answer.text.strip()), by=answer.by or critic.name, answers=(answer,))
        for said, answer, fault in zip(plain, answers, faults, strict=True)
    ]


def _asked(attempts: Sequence[Sample], sampler: Sampler, critic: Asker) -> list[Answer]:
    requests = [
        Request(
            id=f"{sample.answer.request_id}/critique",
            messages=(user(_question(sample)),),
            sampling=sampler.sampling(),
            seed=derive_seed(sampler.seed, LABEL, sample.answer.request_id),
        )
        for sample in attempts
    ]
    speaker = Speaker(critic, sampler, sampler.folder, retries=0)
    answers = speaker.answer(LABEL, requests)
    meter = sampler.meters.setdefault("self", Meter())
    meter.seconds += speaker.seconds()
    meter.tokens = total([meter.tokens, speaker.tokens()])
    return answers


def _question(sample: Sample) -> str:
    turns = "\n\n".join(f"{message.role}: {message.text}" for message in sample.item.messages)
    attempt, reason = sample.answer.text.strip(), _reason(sample)
    mark = mark_for([turns, attempt, reason])
    return render("teacher_critique", mark=mark, task=turns, attempt=attempt, reason=reason)


def _reason(sample: Sample) -> str:
    reason = sample.verdict.reason
    if not sample.answer.ended:
        reason = f"{reason} The answer was also cut off because it is too long.".strip()
    return reason


def _fault(sample: Sample, answer: Answer) -> str:
    """Why a critique is of no use; empty: it is."""
    if answer.finish == "error":
        return "did not come"
    if not answer.text.strip():
        return "empty"
    if not answer.ended:
        return "cut off"
    return "gave the answer away" if gives_away(answer.text, sample) else ""


def gives_away(critique: str, sample: Sample) -> bool:
    """Whether ``critique`` holds the reference of a sample's item, whole or ``GIVEN_AWAY`` words of it, that neither
    the request nor the attempt nor the check's reason has. Without a reference nobody can tell."""
    reference = normalize(sample.item.reference or "")
    if not reference:
        return False
    known = [*(message.text for message in sample.item.messages), sample.answer.text, sample.verdict.reason]
    if any(f" {reference} " in f" {normalize(text)} " for text in known):
        return False
    shared = longest_echo(reference, critique)
    most = max(longest_echo(reference, text) for text in known)
    return shared == len(reference.split()) or (shared >= GIVEN_AWAY and shared > most)
