"""Rehearsal: general instructions answered by the starting model itself, kept as training rows.

Rows of a few narrow tasks alone pull a small model away from what it could do before: general answers begin to loop or
become as short as the tasks'. Rows in the start's own words hold it in place: rehearsal (Robins 1995) with the model's
own answers (Yang et al. 2024, "Self-Distillation Bridges Distribution Gap in Language Model Fine-Tuning"). No verdict
exists for such an answer; what is kept has ended properly and repeats nothing.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from tutelage.completers.replay import Spent, answer_all, seconds_of
from tutelage.construct.missing import count_missing
from tutelage.construct.sampling import Asker, Meter, Sampler
from tutelage.recipe.construct import RehearsalSection
from tutelage.records import Answer, Cost, Example, Lineage, Request, assistant, content_id, user
from tutelage.records.jsonl import RecordLog
from tutelage.seeds import derive_seed, stream
from tutelage.text.repetition import repeated_share
from tutelage.text.words import words

DIMENSION = "utility"
MIN_WORDS = 2


@cache
def rehearsal_prompts() -> tuple[str, ...]:
    """Return everyday instructions of many kinds, written for this project; the gate's guards ask others."""
    text = (files("tutelage.construct") / "general" / "prompts.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def rehearse(section: RehearsalSection, sampler: Sampler, *, start: Asker, seed: int) -> list[Example]:
    """Return at most ``section.prompts`` rows of the start's own answers; each round takes the next prompts.

    ``seed`` is the run's, so that rounds do not ask the same before all prompts were asked. What it cost is put on
    ``sampler.meters``.
    """
    asked = _of_round(section.prompts, round=sampler.round, seed=seed)
    requests = [
        Request(
            id=f"{content_id(prompt)}/rehearsal/{number}",
            messages=(user(prompt),),
            sampling=sampler.sampling(),
            seed=derive_seed(sampler.seed, "rehearsal", prompt, number),
        )
        for prompt in asked
        for number in range(section.samples)
    ]
    log = RecordLog(sampler.folder / "rehearsal.jsonl", Answer)
    timing = RecordLog(sampler.folder / "timing.jsonl", Spent)
    answers = answer_all(
        start.open, requests, log=log, chunk=sampler.chunk, emit=sampler.emit, label="rehearsal", timing=timing
    )
    errors = count_missing(answers, label="rehearsal", emit=sampler.emit)
    sampler.meters["rehearsal"] = Meter(
        answers=len(answers) - errors,
        passed=sum(map(_is_sound, answers)),
        errors=errors,
        tokens=Cost.of(answers).completion_tokens,
        seconds=seconds_of(timing, "rehearsal"),
    )
    rows: list[Example] = []
    for index, prompt in enumerate(asked):
        group = answers[index * section.samples : (index + 1) * section.samples]
        kept = next(filter(_is_sound, group), None)
        if kept is not None:
            rows.append(_row(prompt, kept, group, sampler=sampler, author=start.name))
    return rows


def _of_round(count: int, *, round: int, seed: int) -> list[str]:
    """The round's prompts: the next ``count`` of a shuffled circle."""
    order = list(rehearsal_prompts())
    stream(seed, "rehearsal").shuffle(order)
    first = (round - 1) * count
    return [order[at % len(order)] for at in range(first, first + min(count, len(order)))]


def _is_sound(answer: Answer) -> bool:
    """Whether the answer ended, says something, and repeats no five words."""
    return answer.ended and len(words(answer.text)) >= MIN_WORDS and repeated_share(answer.text) == 0


def _row(prompt: str, answer: Answer, spent: Sequence[Answer], *, sampler: Sampler, author: str) -> Example:
    text = answer.text.strip()
    return Example(
        id=content_id("rehearsal", prompt, text),
        messages=(user(prompt), assistant(text)),
        lineage=Lineage(
            paradigm="rehearsal",
            source="start",
            author=author,
            parents=(answer.request_id,),
            sampling=sampler.sampling(),
            seed=answer.seed,
            round=sampler.round,
            cost=Cost.of(spent),
        ),
        dimension=DIMENSION,
        group=content_id(prompt),
    )
