"""What a run would do before it does it: answers, tokens, rough minutes, who sees what, what can be shown.

The counts of items and answers are exact up to what sampling decides (how many attempts fail). Tokens and minutes are
rough: they rest on the constants below, measured with SmolLM2-135M-Instruct in bfloat16 on two cores of a virtual
machine (AMD EPYC with AVX-512 BF16, no accelerator; docs/decisions/0004). For another model or an accelerator only the
tokens are given.
"""

import math
from collections.abc import Sequence

from tutelage.construct.expert import expert_rows
from tutelage.pipeline.claims import claims_of
from tutelage.pipeline.disclosure import who_sees_what
from tutelage.pipeline.items import (
    Tasks,
    final_items,
    gate_items,
    kinds_of_media,
    probe_items,
    rounds_of,
    stopping_items,
)
from tutelage.pipeline.judged import JudgingEstimate, Load, estimate_judging, with_the_judge
from tutelage.pipeline.lengths import answer_tokens, row_tokens
from tutelage.pipeline.supplies import Supply, supplies_of
from tutelage.pipeline.teaching import Asked, Teaching, estimate_teaching
from tutelage.pipeline.vllm_words import with_server
from tutelage.recipe import Recipe
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.records import Record
from tutelage.tasks.build import demonstrations_of
from tutelage.tasks.rows import RowsTask
from tutelage.tasks.rows.capability import is_checked

FAILING_SHARE = 0.7
"""Share of lessons of which no attempt passes, so that they are revised and fall back on the teacher."""
ACCEPTED_SHARE = 0.6
"""Share of prompts that give a training row in the end."""
CRITIC_TOKENS, CRITIQUE_TOKENS = 130, 60
"""Mean tokens of what a critic is told beside the task and the attempt, and of what it says."""
GENERAL_TOKENS = 150
"""Mean tokens of the start's answer to a general instruction."""
REHEARSED_SHARE = 0.2
"""Share of such answers that end and repeat nothing."""
SCORING_TOKENS_S = 300.0
"""Answered tokens a second of the reference engine, which is the decoder that also samples."""
SAMPLING_TOKENS_S = {"ctranslate2": 200.0, "transformers": SCORING_TOKENS_S, "vllm": None}
"""Answered tokens a second when sampling, by engine: 128 rows decoded together; int8 on two workers of one thread. vLLM
was never run."""
TRAINING_TOKENS_S = 350.0
"""Trained tokens a second, LoRA on all linear layers."""
RATES_HOLD_FOR = {"default", "smollm2-135m-instruct"}


class StageEstimate(Record):
    """One stage: what it asks or reads, in words and numbers. ``minutes`` None: no rate is known for this model."""

    stage: str
    times: int
    what: str
    answers: int
    tokens: int
    minutes: float | None


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
    prompts = _prompts(recipe, tasks)
    supplies = supplies_of(recipe)
    judging = _judging(recipe, tasks, prompts, supplies)
    rows, length = _rows(recipe, prompts, written), row_tokens(tasks)
    for supply in supplies:
        length = (rows * length + supply.rows * supply.row_tokens) / max(1, rows + supply.rows)
        rows += supply.rows
    stages = [
        *_levels(recipe, tasks),
        _scoring(recipe, tasks, "evaluate (probe)", len(probe_items(recipe, tasks)), times=1 + recipe.rounds),
        _constructing(recipe, tasks, prompts, rounds=_sampled_rounds(recipe)),
        *_judging_stage(recipe, judging),
        *(_supplying(recipe, supply) for supply in supplies),
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
            with_server(
                who_sees_what(recipe, tasks, prompts, [supply.shown for supply in supplies if supply.shown]), recipe
            ),
            prompts,
        ),
        claims=claims_of(recipe, tasks, test),
        teaching=_teaching(recipe, tasks, prompts, supplies),
        judging=judging,
    )


def _teaching(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[Supply]) -> Teaching | None:
    """What a teacher behind an endpoint is asked for."""
    section, rounds = recipe.construct, _sampled_rounds(recipe)
    if section.distill is None or not isinstance(section.distill.teacher, EndpointTeacher):
        return None
    for_teacher, for_lessons = _divided(recipe, prompts)
    asked = float(for_teacher * section.distill.samples)
    if section.self_improve is not None and section.self_improve.teacher_fallback is not False:
        asked += FAILING_SHARE * for_lessons * section.self_improve.samples
    critiques = round(_critiques(recipe, for_lessons)) * rounds
    answer, row = answer_tokens(tasks, section.max_tokens), row_tokens(tasks)
    shots = section.distill.shots if section.expert is not None else 0
    about = [Asked(round(asked) * rounds, (shots + 1) * row - answer, answer, section.max_tokens)]
    about += [Asked(critiques, row + CRITIC_TOKENS, CRITIQUE_TOKENS, section.max_tokens)] if critiques else []
    about += [asked for supply in supplies for asked in supply.asked]
    return estimate_teaching(section.distill.teacher, about, media=kinds_of_media(tasks.values(), "train"))


def _judging(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[Supply]) -> JudgingEstimate | None:
    """What the judge is asked for."""
    for_teacher, for_lessons = _divided(recipe, prompts)
    load = Load(
        for_teacher=for_teacher,
        for_lessons=for_lessons,
        failing=FAILING_SHARE * for_lessons,
        row_tokens=row_tokens(tasks),
        answer_tokens=answer_tokens(tasks, recipe.construct.max_tokens),
        rounds=_sampled_rounds(recipe),
        beside=tuple(supply.beside for supply in supplies if supply.beside is not None),
    )
    return estimate_judging(recipe, tasks, load)


def _judging_stage(recipe: Recipe, found: JudgingEstimate | None) -> list[StageEstimate]:
    if found is None:
        return []
    rate = SAMPLING_TOKENS_S[_sampling_engine(recipe)]
    minutes = _minutes(recipe, found.completion_tokens, rate) if found.own or not found.answers else None
    numbers = {"answers": found.answers, "tokens": found.completion_tokens, "minutes": minutes}
    return [StageEstimate.model_validate({"stage": "judge", "times": recipe.rounds, "what": found.what, **numbers})]


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
            minutes=_minutes(recipe, tokens, SAMPLING_TOKENS_S[recipe.engines.sampling.kind]),
        )
    ]


def _scoring(recipe: Recipe, tasks: Tasks, stage: str, items: int, *, times: int) -> StageEstimate:
    answers = items * times
    tokens = round(answers * answer_tokens(tasks, recipe.evaluate.max_tokens))
    return StageEstimate(
        stage=stage,
        times=times,
        what=f"{items:,} items, {_times(times, 'model')}",
        answers=answers,
        tokens=tokens,
        minutes=_minutes(recipe, tokens, SCORING_TOKENS_S),
    )


def _constructing(recipe: Recipe, tasks: Tasks, prompts: int, *, rounds: int) -> StageEstimate:
    section = recipe.construct
    for_teacher, for_lessons = _divided(recipe, prompts)
    sampled = 0.0
    parts = []
    if section.distill is not None and for_teacher:
        sampled += for_teacher * section.distill.samples
        parts.append(f"{for_teacher:,} to the teacher × {section.distill.samples}")
    if section.self_improve is not None and for_lessons:
        lessons = section.self_improve
        failing = FAILING_SHARE * for_lessons
        sampled += for_lessons * lessons.samples + failing * lessons.revisions
        if section.distill is not None and lessons.teacher_fallback is not False:
            sampled += failing * lessons.samples
        sampled += _critiques(recipe, for_lessons)
        said = " + critiques" if _critiques(recipe, for_lessons) else ""
        parts.append(f"{for_lessons:,} lessons × {lessons.samples}{said} + revisions")
    answers = round(sampled) * rounds
    if parts and rounds < recipe.rounds:
        parts[-1] += f" (in {_times(rounds, 'round')})"
    tokens = round(answers * answer_tokens(tasks, section.max_tokens))
    if (general := section.rehearsal) is not None:
        parts.append(f"{general.prompts:,} general instructions × {general.samples}")
        rehearsed = general.prompts * general.samples * recipe.rounds
        answers += rehearsed
        tokens += rehearsed * min(GENERAL_TOKENS, section.max_tokens)
    return StageEstimate(
        stage="construct",
        times=recipe.rounds,
        what=f"a round: {'; '.join(parts)}" if parts else "expert rows alone",
        answers=answers,
        tokens=tokens,
        minutes=_minutes(recipe, tokens, SAMPLING_TOKENS_S[recipe.engines.sampling.kind]),
    )


def _critiques(recipe: Recipe, for_lessons: int) -> float:
    """How many critiques a round the teacher writes."""
    lessons = recipe.construct.self_improve
    if lessons is None or lessons.critic == "check" or not lessons.revisions:
        return 0.0
    return FAILING_SHARE * for_lessons


def _supplying(recipe: Recipe, supply: Supply) -> StageEstimate:
    all_asked = (*supply.asked, *supply.own)
    tokens = round(sum(asked.answers * asked.answer for asked in all_asked))
    return StageEstimate(
        stage=f"construct ({supply.name})",
        times=recipe.rounds,
        what=f"a round: {supply.words}",
        answers=sum(asked.answers for asked in all_asked),
        tokens=tokens,
        minutes=_minutes(recipe, tokens, SAMPLING_TOKENS_S[_sampling_engine(recipe)]),
    )


def _sampled_rounds(recipe: Recipe) -> int:
    """The rounds in which any task is sampled."""
    return max(0, recipe.rounds + 1 - min(task.sample_from for task in recipe.tasks))


def _prompts(recipe: Recipe, tasks: Tasks) -> int:
    """New prompts a round: no more than there are rows whose answers can be kept, where all tasks are made of rows."""
    rows = [task for task in tasks.values() if isinstance(task, RowsTask)]
    if len(rows) < len(tasks):
        return recipe.construct.prompts
    there = sum(item.split == "train" and task.can_keep(item) for task in rows for item in task.all_items)
    return min(recipe.construct.prompts, there)


def _divided(recipe: Recipe, prompts: int) -> tuple[int, int]:
    """How many prompts of a round go to the teacher and to lessons."""
    section = recipe.construct
    if section.distill is None:
        return 0, prompts if section.self_improve is not None else 0
    if section.self_improve is None:
        return prompts, 0
    for_teacher = round(prompts * section.distill.share)
    return for_teacher, prompts - for_teacher


def _written(recipe: Recipe, tasks: Tasks) -> int:
    """Expert rows of an epoch."""
    expert = recipe.construct.expert
    if expert is None:
        return 0
    demonstrations = demonstrations_of(list(tasks.values()))
    return len(expert_rows(demonstrations, expert, tasks=tasks, seed=recipe.seed)) * expert.repeat


def _rows(recipe: Recipe, prompts: int, written: int) -> int:
    """Training rows of a round, on average over the rounds: rows of promoted rounds stay."""
    made = ACCEPTED_SHARE * sum(_divided(recipe, prompts)) * recipe.construct.keep_per_prompt
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
        what=f"about {rows:,} rows × {_times(section.epochs, 'epoch')}"
        + (f", at most {_times(section.max_steps, 'step')}" if section.max_steps else "")
        + held,
        answers=0,
        tokens=tokens,
        minutes=_minutes(recipe, tokens, TRAINING_TOKENS_S),
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
            what=f"at most {_times(looks, 'look')} × {items:,} probe items",
            answers=answers,
            tokens=tokens,
            minutes=_minutes(recipe, tokens, SCORING_TOKENS_S),
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
        minutes=_minutes(recipe, tokens, SCORING_TOKENS_S),
    )


def _final(recipe: Recipe, tasks: Tasks, items: int, *, written: int, rows: int, length: float) -> list[StageEstimate]:
    if not items:
        return []
    controls = recipe.controls
    rivals = controls.few_shot + controls.expert_only + controls.placebo
    found = [_scoring(recipe, tasks, "final (test)", items, times=1 + recipe.rounds + rivals)]
    if controls.expert_only and recipe.construct.expert is not None:
        found.append(_tuning(recipe, "tune (expert only)", written, row_tokens(tasks), times=1))
    if controls.placebo:
        found.append(_tuning(recipe, "tune (placebo)", rows, length, times=1))
    return found


def _sampling_engine(recipe: Recipe) -> str:
    return recipe.engines.sampling.kind


def _minutes(recipe: Recipe, tokens: int, rate: float | None) -> float | None:
    on_cpu = recipe.model.device in {"auto", "cpu"}
    if rate is None or recipe.model.id not in RATES_HOLD_FOR or not on_cpu:
        return None
    return round(tokens / rate / 60, 1)


def _times(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
