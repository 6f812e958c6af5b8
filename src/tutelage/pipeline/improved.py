"""What self-improvement by new instructions would ask for, before anything is sent. Nothing of it was measured."""

from tutelage.pipeline.lengths import FRAME_TOKENS
from tutelage.pipeline.ordered import Beside, Ordering
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import EvolveSource, SelfImprovementSource, SelfInstructSource

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


def _bootstrapped(source: SelfInstructSource) -> tuple[int, float]:
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
