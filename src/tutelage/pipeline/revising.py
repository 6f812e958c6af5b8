"""What a constitution and reflection would ask for, before anything is sent. Nothing here was measured."""

from collections.abc import Sequence

from tutelage.construct.given import prompts_of_file
from tutelage.construct.reflection.rows import read_cases
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN, FRAME_TOKENS
from tutelage.pipeline.ordered import Beside, Ordering
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import ConstitutionSource, ReflectionSource
from tutelage.records import Conversation

READ_SHARE = 0.9
"""Share of critiques and reflections that can be read in the end and in which nothing is wrong."""
FAULT_SHARE = 0.6
"""Share of critiques that find a fault."""
REVISED_SHARE = 0.8
"""Share of revisions of which all is right in form."""
APPROVED_SHARE = 0.7
"""Share of rows that a check or a judge lets pass, where there is one; without one all of them."""
AGAIN_SHARE = 0.2
"""Share of what is asked for as JSON that is asked again, where that is wanted."""
PROMPT_TOKENS, ANSWER_TOKENS = 50, 200
"""Of a prompt of a task, and of an answer; of a file they are counted."""
CRITIC_TOKENS, CRITIQUE_TOKENS = 170, 80
"""Of the request for a critique, the conversation aside, and of the critique."""
REVISING_TOKENS = 110
"""Of the request for a revision."""
REFLECTING_TOKENS, REFLECTION_TOKENS = 290, 120
"""Of the request for a reflection, the row aside, and of the reflection."""


def revising_of(source: ConstitutionSource | ReflectionSource, recipe: Recipe) -> Ordering:
    """Return what a source would ask in a run of ``recipe``; its file is read for it."""
    return _constitution(source, recipe) if isinstance(source, ConstitutionSource) else _reflection(source, recipe)


def _constitution(source: ConstitutionSource, recipe: Recipe) -> Ordering:
    prompts, length = source.rows, float(PROMPT_TOKENS)
    if source.prompts is not None:
        there = prompts_of_file(recipe.folder / source.prompts, source.kind)
        prompts, length = min(prompts, len(there)), _mean([_tokens(one.item.messages) for one in there])
    most = recipe.construct.max_tokens
    answer = min(ANSWER_TOKENS, most)
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    critiques, revisions, left = 0.0, 0.0, float(prompts)
    for _ in range(source.revisions):
        critiques += left
        at_fault = left * READ_SHARE * FAULT_SHARE
        revisions += at_fault
        left = left * READ_SHARE - at_fault * (1 - REVISED_SHARE)
    talk = length + answer + CRITIC_TOKENS
    by = [
        _asked(critiques * again, talk, min(CRITIQUE_TOKENS, source.max_tokens), source.max_tokens),
        _asked(revisions, talk + CRITIQUE_TOKENS + REVISING_TOKENS, answer, most),
    ]
    taught = source.by == "teacher"
    untouched = (1 - FAULT_SHARE) ** source.revisions
    rows = left * (1 if source.faultless == "keep" else 1 - untouched)
    judge = recipe.construct.judge
    judged = rows * (1 + (1 - untouched if judge is not None and judge.preference_margin is not None else 0))
    steps = f"{source.revisions:,} critiques and revisions" if source.revisions > 1 else "1 critique and revision"
    whose = "the student's" if taught else "its own"
    of = source.prompts if source.prompts is not None else "the tasks"
    return Ordering(
        rows=rows * (APPROVED_SHARE if judge is not None or source.prompts is None else 1),
        row_tokens=FRAME_TOKENS + length + answer,
        asked=_over_all(by, recipe) if taught else (),
        own=_over_all([_asked(prompts, length, answer, most), *(() if taught else by)], recipe),
        beside=_beside(judged, length, answer, "answers of the student and their revisions") if judge else None,
        words=f"up to {prompts:,} prompts of {of} × {steps}, by the {source.by}",
        shown=f"{whose} answers to up to {prompts:,} prompts a round, to criticize and revise them",
    )


def _reflection(source: ReflectionSource, recipe: Recipe) -> Ordering:
    there = read_cases(recipe.folder / source.path)
    rows = len(there) if source.rows is None else min(source.rows, len(there))
    length = _mean([_tokens(row.prompt) for row in there])
    answer = _mean([_tokens((row.target,)) for row in there])
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    by: list[Asked] = []
    left = float(rows)
    for part in source.parts:
        written = REFLECTION_TOKENS + answer + (length if part == "instruction" else 0)
        by.append(_asked(left * again, REFLECTING_TOKENS + length + answer, written, source.max_tokens))
        left *= READ_SHARE
    taught, judge = source.by == "teacher", recipe.construct.judge
    pairs = judge is not None and source.parts == ("response",) and judge.preference_margin is not None
    judged = left * (2 if source.originals == "better" or pairs else 1)
    return Ordering(
        rows=left * (1 if judge is None else APPROVED_SHARE),
        row_tokens=FRAME_TOKENS + length + answer,
        asked=_over_all(by, recipe) if taught else (),
        own=() if taught else _over_all(by, recipe),
        beside=_beside(judged, length, answer, "rows that were reflected on") if judge is not None else None,
        words=f"{rows:,} of {len(there):,} rows of {source.path}, {' and '.join(source.parts)}, by the {source.by}",
        shown=f"{rows:,} rows of {source.path} a round, to reflect on them",
    )


def _asked(answers: float, prompt: float, answer: float, most: int) -> Asked:
    return Asked(round(answers), prompt, min(answer, most), most)


def _over_all(asked: Sequence[Asked], recipe: Recipe) -> tuple[Asked, ...]:
    return tuple(one._replace(answers=one.answers * recipe.rounds) for one in asked)


def _beside(judged: float, length: float, answer: float, what: str) -> Beside:
    return Beside(judged, 1, 0, length, answer, named=what)


def _tokens(messages: Conversation) -> float:
    return sum(len(message.text) for message in messages) / CHARACTERS_A_TOKEN


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
