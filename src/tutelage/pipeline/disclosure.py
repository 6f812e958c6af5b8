"""Who is shown what in a run, told before it begins."""

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from tutelage.completers.endpoints.address import endpoint_name, is_loopback
from tutelage.pipeline.items import Tasks, kinds_of_media, teacher_items
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.sources import ConstitutionSource
from tutelage.recipe.teaching import who_teaches

HERE = "Nothing leaves this machine."
CONTROL = "as a control when all is tuned, and nothing is learned from its answers to these"


def who_sees_what(
    recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[str] = (), own: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return in words who the teacher is, what it is shown of ``prompts`` items, by the sources of rows (``supplies``,
    in words) and as a control, what the student is shown by sources (``own``), and what leaves this machine."""
    if not own:
        return _of_teacher(recipe, tasks, prompts, supplies)
    student = f"The student writes for itself; it sees {'; '.join(own)}."
    if not prompts and not supplies and not teacher_items(recipe, tasks):
        return (student, "No teacher is asked.", HERE)
    return (student, *_of_teacher(recipe, tasks, prompts, supplies))


def _of_teacher(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[str]) -> tuple[str, ...]:
    tested, here = len(teacher_items(recipe, tasks)), HERE
    if not prompts and not supplies and not tested:
        return ("No row has a check: no answer is sampled and no teacher is asked.", here)
    teaching = who_teaches(recipe) if recipe.construct.distill is not None or tested else None
    if teaching is None:
        return ("There is no teacher.", here)
    shots = f"up to {teaching.shots} expert demonstrations" if teaching.shots else "no demonstration"
    items = [f"train items with {shots} each"] if prompts and recipe.construct.distill is not None else []
    lessons = recipe.construct.self_improve
    failed = ["the student's failed attempts"] if prompts and lessons and lessons.critic == "teacher" else []
    revising = any(isinstance(one, ConstitutionSource) and one.taught for one in recipe.construct.sources)
    control = [f"{tested:,} test items with {shots} each, {CONTROL}"] if tested else []
    shown = _and([*items, *failed, *supplies, *control])
    match teaching.by:
        case SelfTeacher():
            return (f"The teacher is the student itself; it sees {shown}.", here)
        case ModelTeacher(id=model):
            return (f"The teacher is {model}, run on this machine; it sees {shown}.", here)
        case EndpointTeacher() as teacher:
            media = kinds_of_media(tasks.values(), "train") if prompts else ()
            kinds = {"items": bool(prompts or tested), "attempts": bool(failed), "texts": bool(supplies)}
            what = f"These {_and([name for name, there in kinds.items() if there])}"
            never = "Probe and gate items" if tested else "Probe, gate and test items"
            own = "all other answers of the student" if failed or revising else "the student's answers"
            return _endpoints(teacher, shown, what, media, never=f"{never} and {own}")


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _endpoints(teacher: EndpointTeacher, shown: str, what: str, media: Sequence[str], *, never: str) -> tuple[str, ...]:
    """``shown`` is all that is sent; ``what`` is it in short; ``never`` is not sent."""
    first, *others = [endpoint_name(endpoint.model, endpoint.base_url) for endpoint in teacher.endpoints]
    seen = f", and the {' and the '.join(media)} in them" if media else ""
    said = [f"The teacher is {first}; it is sent {shown}{seen}."]
    for before, name in pairwise([first, *others]):
        said.append(f"What {before} does not answer is sent to {name}, in the same way.")
    to = "any of them" if others else "it"
    said.append(f"{never} are not sent to {to}.")
    hosts = {urlsplit(one.base_url).hostname or one.base_url: one.allow_remote for one in teacher.endpoints}
    away = {host: allowed for host, allowed in hosts.items() if not is_loopback(host)}
    for host, allowed in away.items():
        refused = f"{host} is not this machine and allow_remote is false: the run will refuse to start sampling."
        said.append(f"{what} leave this machine for {host}." if allowed else refused)
    return (*said, *(() if away else (HERE,)))
