"""What self-improvement by new instructions would ask for, before anything is sent. Nothing of it was measured."""

from tutelage.pipeline.lengths import FRAME_TOKENS
from tutelage.pipeline.ordered import Beside, Ordering
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.sources import SelfImprovementSource, SelfInstructSource

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
    return Beside(prompts, samples, 0, request_tokens=request, answer_tokens=answer)


def _seeds(source: SelfImprovementSource) -> str:
    return "the experts' demonstrations" if source.seeds is None else f"the tasks of {source.seeds}"
