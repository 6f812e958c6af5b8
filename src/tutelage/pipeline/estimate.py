"""What a run would do before it does it: answers, tokens, rough minutes, who sees what, what can be shown.

The counts of items and answers are exact up to what sampling decides (how many attempts fail). Tokens and minutes are
rough: they rest on constants here, in ``constructing`` and in ``stage_estimates``, measured with SmolLM2-135M-Instruct
in bfloat16 on two cores of a virtual machine (AMD EPYC with AVX-512 BF16, no accelerator; docs/decisions/0004). For
another model or an accelerator only the tokens are given.
"""

import math
from collections.abc import Sequence

from tutelage.construct.expert import expert_rows
from tutelage.pipeline.claims import claims_of
from tutelage.pipeline.constructing import (
    constructing,
    divided,
    judging_of,
    judging_stage,
    prompts_of,
    sampled_rounds,
    supplying,
    teaching_of,
)
from tutelage.pipeline.disclosure import who_sees_what
from tutelage.pipeline.items import (
    Tasks,
    final_items,
    gate_items,
    probe_items,
    rounds_of,
    stopping_items,
    teacher_items,
)
from tutelage.pipeline.judged import JudgingEstimate, with_the_judge
from tutelage.pipeline.lengths import answer_tokens, row_tokens
from tutelage.pipeline.reading_estimates import reading
from tutelage.pipeline.stage_estimates import (
    GENERAL_TOKENS,
    SAMPLING_TOKENS_S,
    SCORING_TOKENS_S,
    TRAINING_TOKENS_S,
    StageEstimate,
    minutes_of,
    times_of,
)
from tutelage.pipeline.supplies import Supply, supplies_of
from tutelage.pipeline.teaching import Teaching
from tutelage.pipeline.vllm_words import with_server
from tutelage.recipe import Recipe
from tutelage.recipe.construct import SelfTeacher
from tutelage.recipe.teaching import who_teaches
from tutelage.records import Record
from tutelage.tasks.build import demonstrations_of
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked

ACCEPTED_SHARE = 0.6
"""Share of prompts that give a training row in the end."""
REHEARSED_SHARE = 0.2
"""Share of such answers that end and repeat nothing."""


class Estimate(Record):
    """The whole run. ``sees`` says who is shown what, ``claims`` what the numbers of items can prove."""

    name: str
    rounds: int
    stages: tuple[StageEstimate, ...]
    answers: int
    tokens: int
    minutes: float | None
    sees: tuple[str, ...]
    claims: tuple[str, ...]
    teaching: Teaching | None = None
    judging: JudgingEstimate | None = None


def estimate_run(recipe: Recipe, tasks: Tasks) -> Estimate:
    """Return what a run of ``recipe`` would do; nothing is loaded, asked or written."""
    recipe = recipe.model_copy(update={"rounds": rounds_of(recipe, tasks)})
    written = _written(recipe, tasks)
    test = final_items(recipe, tasks)
    prompts = prompts_of(recipe, tasks)
    supplies = supplies_of(recipe)
    judging = judging_of(recipe, tasks, prompts, supplies)
    rows, length = _rows(recipe, prompts, written), row_tokens(tasks)
    for supply in supplies:
        length = (rows * length + supply.rows * supply.row_tokens) / max(1, rows + supply.rows)
        rows += supply.rows
    stages = [
        *_levels(recipe, tasks),
        _scoring(recipe, tasks, "evaluate (probe)", len(probe_items(recipe, tasks)), times=1 + recipe.rounds),
        constructing(recipe, tasks, prompts, rounds=sampled_rounds(recipe)),
        *judging_stage(recipe, judging),
        *(supplying(recipe, supply) for supply in supplies),
        *reading(recipe, rows, length),
        _tuning(recipe, "tune", rows, length, times=recipe.rounds),
        *_looking(recipe, tasks, rows, times=recipe.rounds + recipe.controls.expert_only + recipe.controls.placebo),
        _gating(recipe, tasks),
        *_final(recipe, tasks, len(test), written=written, rows=rows, length=length),
    ]
    known = [stage.minutes for stage in stages if stage.minutes is not None]
    return Estimate(
        name=recipe.name,
        rounds=recipe.rounds,
        stages=tuple(stages),
        answers=sum(stage.answers for stage in stages),
        tokens=sum(stage.tokens for stage in stages),
        minutes=round(sum(known), 1) if len(known) == len(stages) else None,
        sees=with_the_judge(
            recipe,
            with_server(_sees(recipe, tasks, prompts, supplies), recipe),
            prompts,
        ),
        claims=claims_of(recipe, tasks, test),
        teaching=teaching_of(recipe, tasks, prompts, supplies),
        judging=judging,
    )


def _sees(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[Supply]) -> tuple[str, ...]:
    taught = [supply.shown for supply in supplies if supply.taught]
    own = [supply.shown for supply in supplies if not supply.taught and supply.shown]
    return who_sees_what(recipe, tasks, prompts, taught, own)


def _levels(recipe: Recipe, tasks: Tasks) -> list[StageEstimate]:
    """Asking the start several times for each checked row, where levels must be estimated."""
    wanted = {name: task for name, task in tasks.items() if isinstance(task, RowsTask) and task.needs_levels}
    counts = [(sum(map(is_checked, task.all_items)), task.section.level_samples) for task in wanted.values()]
    answers = sum(rows * samples for rows, samples in counts)
    if not answers:
        return []
    tokens = round(answers * answer_tokens(wanted, recipe.construct.max_tokens))
    return [
        StageEstimate(
            stage="levels",
            times=1,
            what=" and ".join(f"{rows:,} rows × {samples} answers of the start" for rows, samples in counts),
            answers=answers,
            tokens=tokens,
            minutes=minutes_of(recipe, tokens, SAMPLING_TOKENS_S[recipe.engines.sampling.kind]),
        )
    ]


def _scoring(recipe: Recipe, tasks: Tasks, stage: str, items: int, *, times: int) -> StageEstimate:
    answers = items * times
    tokens = round(answers * answer_tokens(tasks, recipe.evaluate.max_tokens))
    return StageEstimate(
        stage=stage,
        times=times,
        what=f"{items:,} items, {times_of(times, 'model')}",
        answers=answers,
        tokens=tokens,
        minutes=minutes_of(recipe, tokens, SCORING_TOKENS_S),
    )


def _written(recipe: Recipe, tasks: Tasks) -> int:
    """Expert rows of an epoch."""
    expert = recipe.construct.expert
    if expert is None:
        return 0
    demonstrations = demonstrations_of(list(tasks.values()))
    return len(expert_rows(demonstrations, expert, tasks=tasks, seed=recipe.seed)) * expert.repeat


def _rows(recipe: Recipe, prompts: int, written: int) -> int:
    """Training rows of a round, on average over the rounds: rows of promoted rounds stay."""
    made = ACCEPTED_SHARE * sum(divided(recipe, prompts)) * recipe.construct.keep_per_prompt
    if (general := recipe.construct.rehearsal) is not None:
        made += general.prompts * (1 - (1 - REHEARSED_SHARE) ** general.samples)
    return round(written + made * (recipe.rounds + 1) / 2)


def _tuning(recipe: Recipe, stage: str, rows: int, length: float, *, times: int) -> StageEstimate:
    """Tuning on ``rows`` of so many tokens in the mean."""
    section = recipe.tune
    seen = _seen(recipe, rows)
    tokens = round(seen * length)
    held = ""
    if section.retention is not None:
        texts = section.retention
        steps = math.ceil(seen / section.batch_size)
        tokens += (texts.texts + steps * texts.texts_a_step) * texts.tokens
        held = f", {texts.texts_a_step} of {texts.texts:,} free texts beside each step"
    tokens *= times
    return StageEstimate(
        stage=stage,
        times=times,
        what=f"about {rows:,} rows × {times_of(section.epochs, 'epoch')}"
        + (f", at most {times_of(section.max_steps, 'step')}" if section.max_steps else "")
        + held,
        answers=0,
        tokens=tokens,
        minutes=minutes_of(recipe, tokens, TRAINING_TOKENS_S),
    )


def _seen(recipe: Recipe, rows: int) -> int:
    """How many rows the steps of a tuning see, if nothing ends it."""
    section = recipe.tune
    most = section.max_steps * section.batch_size
    return min(rows * section.epochs, most) if most else rows * section.epochs


def _looking(recipe: Recipe, tasks: Tasks, rows: int, *, times: int) -> list[StageEstimate]:
    """What early stopping asks, if it never stops: before the first step, every so many, and after the last."""
    section = recipe.tune.early_stopping
    if section is None:
        return []
    items = len(stopping_items(recipe, tasks, section))
    looks = 1 + math.ceil(math.ceil(_seen(recipe, rows) / recipe.tune.batch_size) / section.every)
    answers = times * looks * items
    tokens = round(answers * answer_tokens(tasks, section.max_tokens))
    return [
        StageEstimate(
            stage="tune (looks)",
            times=times,
            what=f"at most {times_of(looks, 'look')} × {items:,} probe items",
            answers=answers,
            tokens=tokens,
            minutes=minutes_of(recipe, tokens, SCORING_TOKENS_S),
        )
    ]


def _gating(recipe: Recipe, tasks: Tasks) -> StageEstimate:
    items, prompts, most = gate_items(recipe, tasks, 1), recipe.evaluate.general_prompts, recipe.evaluate.max_tokens
    models = 2 * recipe.rounds
    answers = models * (len(items) + prompts)
    tokens = round(models * (len(items) * answer_tokens(tasks, most) + prompts * min(GENERAL_TOKENS, most)))
    return StageEstimate(
        stage="gate",
        times=recipe.rounds,
        what=f"{len(items):,} items and {prompts} general prompts, 2 models",
        answers=answers,
        tokens=tokens,
        minutes=minutes_of(recipe, tokens, SCORING_TOKENS_S),
    )


def _final(recipe: Recipe, tasks: Tasks, items: int, *, written: int, rows: int, length: float) -> list[StageEstimate]:
    if not items:
        return []
    controls = recipe.controls
    rivals = controls.few_shot + controls.expert_only + controls.placebo
    found = [_scoring(recipe, tasks, "final (test)", items, times=1 + recipe.rounds + rivals)]
    if tested := len(teacher_items(recipe, tasks)):
        own = (teaching := who_teaches(recipe)) is not None and isinstance(teaching.by, SelfTeacher)
        teacher = _scoring(recipe, tasks, "final (teacher)", tested, times=1)
        found.append(teacher if own else teacher.model_copy(update={"minutes": None}))
    if controls.expert_only and recipe.construct.expert is not None:
        found.append(_tuning(recipe, "tune (expert only)", written, row_tokens(tasks), times=1))
    if controls.placebo:
        found.append(_tuning(recipe, "tune (placebo)", rows, length, times=1))
    return found
