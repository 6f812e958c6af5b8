"""What self-improvement by new instructions would ask for, before anything is sent. Nothing of it was measured."""

from tutelage.construct.documents.source import shelve
from tutelage.judging.points import LONGEST as LONGEST_GRADE
from tutelage.pipeline.lengths import CHARACTERS_A_TOKEN, FRAME_TOKENS
from tutelage.pipeline.ordered import Beside, Ordering
from tutelage.pipeline.stage_estimates import times_of
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import (
    BackTranslationSource,
    BootstrapSource,
    EvolveSource,
    SelfImprovementSource,
    SelfInstructSource,
    SelfRewardingSource,
)

READ_SHARE = 0.9
"""Share of requests whose reply is of the form in the end."""
NEW_SHARE = 0.5
"""Share of proposed instructions that pass the filters and are new."""
INSTANCE_SHARE = 0.7
"""Share of inputs with outputs that pass theirs."""
TASKS_TOKENS, KIND_TOKENS, INSTANCE_TOKENS = 170, 110, 130
"""Of the three questions of Self-Instruct, the tasks that they show aside."""
TASK_TOKENS, MADE_TOKENS, TOLD_TOKENS = 25, 110, 8
"""Of an instruction, of an input with its output, of whether it is classification."""
GAINED_SHARE = 0.7
"""Share of evolved instructions that pass the rules before an answer is asked for."""
ANSWERED_SHARE = 0.85
"""Share of these of which an answer is kept."""
EVOLVED_TOKENS, EVOLVING_TOKENS, EQUAL_TOKENS, ANSWER_TOKENS = 80, 220, 130, 220
"""Of an evolved instruction, of the two questions of Evol-Instruct without their instructions, and of an answer."""
REQUESTED_SHARE = 0.8
"""Share of texts whose request is right in form in the end."""
GRADED_SHARE = {1: 0.95, 2: 0.85, 3: 0.6, 4: 0.4, 5: 0.15}
"""Share of these with a grade that can be read and is so high at least."""
TRANSLATING_TOKENS, GRADING_TOKENS, GRADE_TOKENS = 260, 640, 40
"""Of the two questions of back-translation without request and text, and of a grade with its reason."""
SHOWN_TOKENS = 90
"""Of a seed turned round."""
FIT_SHARE = 0.85
"""Share of candidates that are right in form."""
PERFECT_SHARE = 0.2
"""Share of instructions whose best answer has so many points that it is a row."""
JUDGING_TOKENS = 560
"""Of the question for points, instruction and answer aside."""
AGAIN_SHARE = 0.1
"""Share of requests that are asked again at once, where that is wanted."""


def self_instruct_of(source: SelfInstructSource, recipe: Recipe) -> Ordering:
    """Return what Self-Instruct would ask in a run of ``recipe``."""
    requests, kept = _bootstrapped(source)
    written = kept * READ_SHARE**2
    rows = written * source.instances * INSTANCE_SHARE
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    made = source.instances * MADE_TOKENS
    asked = [
        (requests, TASKS_TOKENS + source.shown * TASK_TOKENS, source.proposals * TASK_TOKENS),
        (kept, KIND_TOKENS + source.examples * TASK_TOKENS, TOLD_TOKENS),
        (kept * READ_SHARE, INSTANCE_TOKENS + source.examples * (TASK_TOKENS + MADE_TOKENS), made),
    ]
    most = source.max_tokens
    return Ordering(
        rows=rows,
        row_tokens=FRAME_TOKENS + TASK_TOKENS + MADE_TOKENS,
        asked=tuple(Asked(round(n * again * recipe.rounds), p, min(a, most), most) for n, p, a in asked),
        beside=_beside(recipe, rows, 1, TASK_TOKENS + MADE_TOKENS / 2, MADE_TOKENS / 2),
        words=f"{source.tasks:,} new tasks, in at most {source.steps:,} steps of {source.prompts:,} requests for "
        f"{source.proposals:,} each",
        shown=f"{_seeds(source)} and tasks that it wrote, {source.shown:,} in each request for new ones",
    )


def evolve_of(source: EvolveSource, recipe: Recipe) -> Ordering:
    """Return what Evol-Instruct would ask in a run of ``recipe``, if there are as many seeds as it draws."""
    evolved = source.instructions * source.generations
    compared = evolved * READ_SHARE
    answered = compared * GAINED_SHARE
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    most, answer = source.max_tokens, min(ANSWER_TOKENS, source.max_tokens)
    asked = [
        (evolved * again, EVOLVING_TOKENS + EVOLVED_TOKENS, EVOLVED_TOKENS),
        (compared * again, EQUAL_TOKENS + 2 * EVOLVED_TOKENS, TOLD_TOKENS),
        (answered * source.samples, EVOLVED_TOKENS, answer),
    ]
    return Ordering(
        rows=answered * ANSWERED_SHARE,
        row_tokens=FRAME_TOKENS + EVOLVED_TOKENS + answer,
        asked=tuple(Asked(round(n * recipe.rounds), p, min(a, most), most) for n, p, a in asked),
        beside=_beside(recipe, answered, source.samples, EVOLVED_TOKENS, answer),
        words=f"{source.instructions:,} instructions evolved {source.generations:,} times, each × {source.samples} "
        "answers",
        shown=f"{_seeds(source)}, {source.instructions:,} of them, and what it made of them",
    )


def back_translation_of(source: BackTranslationSource, recipe: Recipe) -> Ordering:
    """Return what instruction back-translation would ask in a run of ``recipe``; its documents are read for it."""
    shelf = shelve(source, recipe.folder)
    there = len(shelf.passages)
    passages = there if source.passages is None else min(there, source.passages)
    length = sum(len(passage.text) for passage in shelf.passages) / there / CHARACTERS_A_TOKEN
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    most, graded = source.max_tokens, passages * REQUESTED_SHARE
    kept = graded * GRADED_SHARE[source.threshold]
    asked = [
        (passages * again, TRANSLATING_TOKENS + source.examples * SHOWN_TOKENS + length, TASK_TOKENS, most),
        (graded * again, GRADING_TOKENS + TASK_TOKENS + length, GRADE_TOKENS, LONGEST_GRADE),
    ]
    seeds = f"{_seeds(source)}, {source.examples:,} in each request; " if source.examples else ""
    return Ordering(
        rows=kept,
        row_tokens=FRAME_TOKENS + TASK_TOKENS + length,
        asked=tuple(Asked(round(n * recipe.rounds), p, min(a, m), m) for n, p, a, m in asked),
        beside=_beside(recipe, kept, 1, TASK_TOKENS, length),
        words=f"requests for {passages:,} of {there:,} passages of {len(shelf.documents):,} documents, and a grade for "
        f"each, {source.threshold} at least",
        shown=f"{seeds}{times_of(passages, 'passage')} of documents a round, and the requests that it wrote for them",
    )


def self_rewarding_of(source: SelfRewardingSource, recipe: Recipe) -> Ordering:
    """Return what self-rewarding would ask in a run of ``recipe``. Its pairs are no rows."""
    requests, kept = _bootstrapped(source)
    again = 1 + (AGAIN_SHARE if source.retries else 0)
    most, answer = source.max_tokens, min(ANSWER_TOKENS, source.max_tokens)
    answers = kept * source.candidates
    judgings = answers * FIT_SHARE * source.judgings
    asked = [
        (requests * again, TASKS_TOKENS + source.shown * TASK_TOKENS, source.proposals * TASK_TOKENS, most),
        (answers, TASK_TOKENS, answer, most),
        (judgings * again, JUDGING_TOKENS + TASK_TOKENS + answer, GRADE_TOKENS, LONGEST_GRADE),
    ]
    rows = kept * PERFECT_SHARE if source.positives is not None else 0.0
    return Ordering(
        rows=rows,
        row_tokens=FRAME_TOKENS + TASK_TOKENS + answer,
        asked=tuple(Asked(round(n * recipe.rounds), p, min(a, m), m) for n, p, a, m in asked),
        beside=_beside(recipe, rows, 1, TASK_TOKENS, answer) if rows else None,
        words=f"{source.tasks:,} new instructions × {source.candidates:,} answers, each judged "
        f"{times_of(source.judgings, 'time')}",
        shown=f"{_seeds(source)}, instructions that it wrote, {source.shown:,} in each request for new ones, and its "
        "answers to them",
    )


def _bootstrapped(source: BootstrapSource) -> tuple[int, float]:
    """Requests for new instructions, and how many are kept of what comes."""
    requests, kept = 0, 0.0
    for _ in range(source.steps):
        missing = source.tasks - round(kept)
        if missing <= 0:
            break
        number = min(source.prompts, -(-missing // source.proposals))
        requests += number
        kept += number * source.proposals * READ_SHARE * NEW_SHARE
    return requests, min(kept, float(source.tasks))


def _beside(recipe: Recipe, prompts: float, samples: int, request: float, answer: float) -> Beside | None:
    if recipe.construct.judge is None:
        return None
    return Beside(prompts, samples, 0, request_tokens=request, answer_tokens=answer, named="new instructions' answers")


def _seeds(source: SelfImprovementSource) -> str:
    return "the experts' demonstrations" if source.seeds is None else f"the tasks of {source.seeds}"
