"""Answers with their reasons: asked for as JSON, examined, checked by the answer alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tutelage.completers.replay import Spent, seconds_of
from tutelage.completers.structured.asking import Ended, Way, ask_structured
from tutelage.completers.structured.forms import form_of
from tutelage.construct.prompts import render
from tutelage.construct.rationales.examining import Examiner, Reasoned, Shown
from tutelage.construct.sampling import Asker, Sample, Sampler
from tutelage.events import Event
from tutelage.recipe.rationales import RationalesSection
from tutelage.records import Answer, Conversation, Cost, Item, Ledger, Message, TextPart, Verdict
from tutelage.records.jsonl import RecordLog, write_records
from tutelage.records.messages import Part

PROMPT = "rationale"
FORM = form_of(Reasoned)
_TAGS = {"system": "instruction", "user": "question", "assistant": "answer", "tool": "result"}
UNFIT = "the answer does not pass its check with the reasoning before it"


def ask_with_rationales(
    items: Sequence[Item],
    sampler: Sampler,
    section: RationalesSection,
    *,
    teacher: Asker,
    contexts: Mapping[str, Conversation],
    samples: int,
    name: str,
) -> list[list[Sample]]:
    """Return ``samples`` checked answers for each of ``items``, with the reasons that the teacher gave before them.

    Of what came without usable reasons the sample is ``lost``: it counts as an answer that did not pass, and is
    nobody's rejected answer. Beside what :func:`ask_structured` writes, ``<name>_rationales.jsonl`` has the counts by
    reason. ``contexts`` are the demonstrations by item, without the item itself.

    Raises what :func:`ask_structured` and :func:`tutelage.construct.missing.count_missing` raise.
    """
    prompts = [(item, asking(item, contexts.get(item.id, ()), section)) for item in items]
    requests = sampler.requests(name, prompts, samples, longest=section.max_tokens)
    asked = [item for item in items for _ in range(samples)]
    shown = {
        request.id: Shown(item.messages[-1].text, contexts.get(item.id, ()))
        for request, item in zip(requests, asked, strict=True)
    }
    way = Way(sampler.folder, name, sampler.chunk, retries=section.retries, again=teacher.again, emit=sampler.emit)
    ends, _ = ask_structured(teacher.open, requests, form=FORM, way=way, judge=Examiner(shown, section.max_words))
    found = _samples(asked, ends, sampler, section)
    _tell(found, sampler, name)
    timing = RecordLog(sampler.folder / "timing.jsonl", Spent)
    seconds = sum(seconds_of(timing, label) for label in way.labels())
    return sampler.weigh(name, found, per_item=samples, paradigm="distill", seconds=seconds)


def asking(item: Item, context: Conversation, section: RationalesSection) -> Conversation:
    """Return the conversation that asks for reasons and answer.

    Demonstrations have no reasons. As turns they would show that none are wanted, and with invented or empty ones they
    would show worse, so they stand as texts before the question.
    """
    last = item.messages[-1]
    words = render(PROMPT, max_words=str(section.max_words), examples="yes" if context else "")
    content = (*_examples(context), *last.content, TextPart(kind="text", text=f"\n\n{words}"))
    return (*item.messages[:-1], Message(role=last.role, content=content))


def _examples(context: Conversation) -> tuple[Part, ...]:
    """The parts of the demonstrations, images in their places; each ends with an assistant's turn."""
    parts: list[Part] = []
    begins = True
    for turn in context:
        tag, begin = _TAGS[turn.role], "<example>\n" if begins else ""
        begins = turn.role == "assistant"
        end = "</example>\n\n" if begins else ""
        parts += [_text(f"{begin}<{tag}>\n"), *turn.content, _text(f"\n</{tag}>\n{end}")]
    return tuple(parts)


def _text(text: str) -> TextPart:
    return TextPart(kind="text", text=text)


def _samples(
    items: Sequence[Item], ends: Sequence[Ended[Reasoned]], sampler: Sampler, section: RationalesSection
) -> list[Sample]:
    """Each end as a sample, its answer checked alone, and with its reasons where both stand in one text."""
    answers = [answer_of(end) for end in ends]
    found = [
        replace(sample, rationale=end.value.reasoning.strip())
        if end.loss is None and end.value is not None
        else replace(sample, verdict=_lost(end), lost=_reason(end))
        for sample, end in zip(sampler.check(items, answers), ends, strict=True)
    ]
    if section.place == "answer":
        whole = [one.answer.model_copy(update={"text": sampler.turn(one).text}) for one in found]
        both = sampler.check(items, whole)
        found = [_both(one, other.verdict) for one, other in zip(found, both, strict=True)]
    return found


def _both(one: Sample, whole: Verdict) -> Sample:
    """The sample, lost where its answer passes and the text that would be learned does not."""
    if one.lost or not one.verdict.passed or whole.score is None or whole.passed:
        return one
    return replace(one, lost=UNFIT, verdict=Verdict(score=0.0, reason=f"{UNFIT}: {whole.reason}"))


def answer_of(end: Ended[Reasoned]) -> Answer:
    """The last answer with the tokens and the money of all tries; its text is the answer that was found in it."""
    last = end.answers[-1]
    if last.finish == "error":
        return last
    cost = Cost.of(end.answers)
    found = end.value if end.loss is None else None
    return last.model_copy(
        update={
            "text": found.answer.strip() if found is not None else "",
            "finish": "stop",
            "prompt_tokens": cost.prompt_tokens,
            "completion_tokens": cost.completion_tokens,
            "money": cost.money,
        }
    )


def _reason(end: Ended[Reasoned]) -> str:
    return "" if end.loss is None or end.answers[-1].finish == "error" else end.loss.reason


def _lost(end: Ended[Reasoned]) -> Verdict:
    assert end.loss is not None
    said = f"{end.loss.reason}: {end.loss.detail}" if end.loss.detail else end.loss.reason
    return Verdict(score=None if end.answers[-1].finish == "error" else 0.0, reason=said)


def _tell(found: Sequence[Sample], sampler: Sampler, name: str) -> None:
    """Write and say how many reasons can be used, and why the others cannot."""
    came = [sample for sample in found if sample.answer.finish != "error"]
    lost = Counter(sample.lost for sample in came if sample.lost)
    ledger = Ledger(
        stage="rationales",
        rows_in=len(came),
        kept=len(came) - lost.total(),
        dropped=dict(sorted(lost.items())),
        notes=(f"{len(found) - len(came):,} more did not come",) if len(found) > len(came) else (),
    )
    write_records(sampler.folder / f"{name}_rationales.jsonl", [ledger])
    why = "; ".join(f"{count:,} {reason}" for reason, count in ledger.dropped.items())
    text = f"{name}: {ledger.kept:,} of {ledger.rows_in:,} answers have reasons that can be used"
    sampler.emit(Event("note", data={"text": f"{text}; lost: {why}" if why else text}))
