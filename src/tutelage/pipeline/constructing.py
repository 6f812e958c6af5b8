"""What making a round's data would take: attempts, a teacher's answers and critiques, what sources ask, a judge."""

from collections.abc import Sequence

from tutelage.pipeline.items import Tasks, kinds_of_media, teacher_items
from tutelage.pipeline.judged import JudgingEstimate, Load, estimate_judging
from tutelage.pipeline.lengths import answer_tokens, row_tokens
from tutelage.pipeline.rationales import rationales_of, with_reasons
from tutelage.pipeline.stage_estimates import (
    GENERAL_TOKENS,
    SAMPLING_TOKENS_S,
    StageEstimate,
    minutes_of,
    sampling_engine,
    times_of,
)
from tutelage.pipeline.supplies import Supply
from tutelage.pipeline.teaching import Asked, Teaching, estimate_teaching
from tutelage.recipe import Recipe
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.tasks.rows import RowsTask

FAILING_SHARE = 0.7
"""Share of lessons of which no attempt passes, so that they are revised and fall back on the teacher."""
CRITIC_TOKENS, CRITIQUE_TOKENS = 130, 60
"""Mean tokens of what a critic is told beside the task and the attempt, and of what it says."""


def constructing(recipe: Recipe, tasks: Tasks, prompts: int, *, rounds: int) -> StageEstimate:
    """Return what attempts, revisions and a teacher's answers take."""
    section = recipe.construct
    for_teacher, for_lessons = divided(recipe, prompts)
    taught = own = 0.0
    parts = []
    if section.distill is not None and for_teacher:
        taught += for_teacher * section.distill.samples
        parts.append(f"{for_teacher:,} to the teacher × {section.distill.samples}")
    if section.self_improve is not None and for_lessons:
        lessons = section.self_improve
        failing = FAILING_SHARE * for_lessons
        own += for_lessons * lessons.samples + failing * lessons.revisions
        if section.distill is not None and lessons.teacher_fallback is not False:
            taught += failing * lessons.samples
        own += _critiques(recipe, for_lessons)
        said = " + critiques" if _critiques(recipe, for_lessons) else ""
        parts.append(f"{for_lessons:,} lessons × {lessons.samples}{said} + revisions")
    if parts and rounds < recipe.rounds:
        parts[-1] += f" (in {times_of(rounds, 'round')})"
    mean, reasons = answer_tokens(tasks, section.max_tokens), rationales_of(recipe)
    replies = with_reasons(Asked(round(taught), 0, mean, section.max_tokens), reasons)
    answers = (round(own + taught) if reasons is None else round(own) + replies.answers) * rounds
    tokens = round((answers - replies.answers * rounds) * mean + replies.answers * rounds * replies.answer)
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
        minutes=minutes_of(recipe, tokens, SAMPLING_TOKENS_S[recipe.engines.sampling.kind]),
    )


def _critiques(recipe: Recipe, for_lessons: int) -> float:
    """How many critiques a round the teacher writes."""
    lessons = recipe.construct.self_improve
    if lessons is None or lessons.critic == "check" or not lessons.revisions:
        return 0.0
    return FAILING_SHARE * for_lessons


def supplying(recipe: Recipe, supply: Supply) -> StageEstimate:
    """Return what a source of rows takes."""
    all_asked = (*supply.asked, *supply.own)
    tokens = round(sum(asked.answers * asked.answer for asked in all_asked))
    return StageEstimate(
        stage=f"construct ({supply.name})",
        times=recipe.rounds,
        what=f"a round: {supply.words}",
        answers=sum(asked.answers for asked in all_asked),
        tokens=tokens,
        minutes=minutes_of(recipe, tokens, SAMPLING_TOKENS_S[sampling_engine(recipe)]),
    )


def teaching_of(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[Supply]) -> Teaching | None:
    """What a teacher behind an endpoint is asked for, as a control too."""
    section, rounds = recipe.construct, sampled_rounds(recipe)
    if section.distill is None or not isinstance(section.distill.teacher, EndpointTeacher):
        return None
    for_teacher, for_lessons = divided(recipe, prompts)
    asked = float(for_teacher * section.distill.samples)
    if section.self_improve is not None and section.self_improve.teacher_fallback is not False:
        asked += FAILING_SHARE * for_lessons * section.self_improve.samples
    critiques = round(_critiques(recipe, for_lessons)) * rounds
    answer, row = answer_tokens(tasks, section.max_tokens), row_tokens(tasks)
    shots = section.distill.shots if section.expert is not None else 0
    answers = Asked(round(asked) * rounds, (shots + 1) * row - answer, answer, section.max_tokens)
    about = [with_reasons(answers, section.distill.rationales)]
    about += [Asked(critiques, row + CRITIC_TOKENS, CRITIQUE_TOKENS, section.max_tokens)] if critiques else []
    about += [asked for supply in supplies if supply.taught for asked in supply.asked]
    if tested := len(teacher_items(recipe, tasks)):
        most = recipe.evaluate.max_tokens
        about.append(Asked(tested, (shots + 1) * row - answer, answer_tokens(tasks, most), most))
    return estimate_teaching(section.distill.teacher, about, media=kinds_of_media(tasks.values(), "train"))


def judging_of(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[Supply]) -> JudgingEstimate | None:
    """What the judge is asked for."""
    for_teacher, for_lessons = divided(recipe, prompts)
    load = Load(
        for_teacher=for_teacher,
        for_lessons=for_lessons,
        failing=FAILING_SHARE * for_lessons,
        row_tokens=row_tokens(tasks),
        answer_tokens=answer_tokens(tasks, recipe.construct.max_tokens),
        rounds=sampled_rounds(recipe),
        beside=tuple(supply.beside for supply in supplies if supply.beside is not None),
    )
    return estimate_judging(recipe, tasks, load)


def judging_stage(recipe: Recipe, found: JudgingEstimate | None) -> list[StageEstimate]:
    """Return what the judge takes, if there is one."""
    if found is None:
        return []
    rate = SAMPLING_TOKENS_S[sampling_engine(recipe)]
    minutes = minutes_of(recipe, found.completion_tokens, rate) if found.own or not found.answers else None
    numbers = {"answers": found.answers, "tokens": found.completion_tokens, "minutes": minutes}
    return [StageEstimate.model_validate({"stage": "judge", "times": recipe.rounds, "what": found.what, **numbers})]


def sampled_rounds(recipe: Recipe) -> int:
    """The rounds in which any task is sampled."""
    return max(0, recipe.rounds + 1 - min(task.sample_from for task in recipe.tasks))


def prompts_of(recipe: Recipe, tasks: Tasks) -> int:
    """New prompts a round: no more than there are rows whose answers can be kept, where all tasks are made of rows."""
    rows = [task for task in tasks.values() if isinstance(task, RowsTask)]
    if len(rows) < len(tasks):
        return recipe.construct.prompts
    there = sum(item.split == "train" and task.can_keep(item) for task in rows for item in task.all_items)
    return min(recipe.construct.prompts, there)


def divided(recipe: Recipe, prompts: int) -> tuple[int, int]:
    """How many prompts of a round go to the teacher and to lessons."""
    section = recipe.construct
    if section.distill is None:
        return 0, prompts if section.self_improve is not None else 0
    if section.self_improve is None:
        return prompts, 0
    for_teacher = round(prompts * section.distill.share)
    return for_teacher, prompts - for_teacher
