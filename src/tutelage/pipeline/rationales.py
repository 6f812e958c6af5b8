"""Reasons before answers, seen before a run begins: whether the student can write them, and what they cost."""

from dataclasses import replace

from tutelage.errors import Problem, RecipeError, TemplateError
from tutelage.models.load import load_template
from tutelage.models.template_file import template_of
from tutelage.pipeline.teaching import Asked
from tutelage.recipe import Recipe
from tutelage.recipe.rationales import RationalesSection
from tutelage.recipe.sources import MagpieSource, StarSource
from tutelage.records import system

PROMPT_TOKENS = 190
"""Of the request for reasons and answer, and of the marks around examples."""
REASONS_TOKENS = 90
"""Mean tokens of the reasons and of the JSON around both."""
AGAIN_SHARE = 0.3
"""Share of answers that are asked for again, where that is wanted: a guess."""


def rationales_of(recipe: Recipe) -> RationalesSection | None:
    """Return the section that asks for reasons, None where there is no teacher or it is asked for answers alone."""
    distill = recipe.construct.distill
    return None if distill is None else distill.rationales


def require_reasoning(recipe: Recipe, *, offline: bool) -> None:
    """Refuse a recipe that puts reasons where the student's chat template has no place for them, or has the student
    write in the place of a user that its template does not have.

    The tokenizer is loaded for it, and no weights. Raises :class:`RecipeError`, and what :func:`load_template` raises.
    """
    section, model = rationales_of(recipe), recipe.model
    places = ["construct.distill.rationales.place"] if section is not None and section.place == "reasoning" else []
    places += [
        f"construct.sources.{index}.place"
        for index, source in enumerate(recipe.construct.sources)
        if isinstance(source, StarSource) and source.place == "reasoning"
    ]
    magpies = [
        (f"construct.sources.{index}", source)
        for index, source in enumerate(recipe.construct.sources)
        if isinstance(source, MagpieSource) and not source.taught
    ]
    if not places and not magpies:
        return
    template = load_template(
        model.id,
        revision=model.revision,
        offline=offline,
        template=template_of(model, recipe.folder),
        new_tokens=model.new_tokens,
    )
    problems: list[Problem] = []
    for where, source in magpies:
        try:
            template.encode_user_turn((system(source.system),) if source.system is not None else ())
        except TemplateError as error:
            problems.append(replace(error.problem, where=where))
    if places and not template.keeps_reasoning:
        what = (
            "the chat template of the student writes no reasoning, or not so that it could be taken off an answer "
            "again, and nothing would be learned of the reasons"
        )
        remedy = "write place: answer; or give a template that has it (model.template), or a model whose own does"
        problems += [Problem(what, place, f"reasoning, {model.id}", remedy) for place in places]
    if problems:
        raise RecipeError(recipe.name, problems)


def with_reasons(asked: Asked, section: RationalesSection | None) -> Asked:
    """Return what a teacher is asked for where its answers come with reasons."""
    if section is None:
        return asked
    again = AGAIN_SHARE if section.retries else 0
    reply = min(asked.answer + REASONS_TOKENS, section.max_tokens)
    return Asked(round(asked.answers * (1 + again)), asked.prompt + PROMPT_TOKENS, reply, section.max_tokens)
