"""Who is shown what in a run, told before it begins."""

from collections.abc import Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from tutelage.completers.endpoints.address import endpoint_name, is_loopback
from tutelage.pipeline.items import Tasks, kinds_of_media
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.sources import ConstitutionSource

HERE = "Nothing leaves this machine."


def who_sees_what(recipe: Recipe, tasks: Tasks, prompts: int, supplies: Sequence[str] = ()) -> tuple[str, ...]:
    """Return in words who the teacher is, what it is shown of ``prompts`` items and by the sources of rows
    (``supplies``), and what leaves this machine."""
    distill, here = recipe.construct.distill, HERE
    if distill is not None and not prompts and not supplies and recipe.construct.sources:
        return ("No teacher is asked: the student alone answers, for construct.sources.", here)
    if not prompts and not supplies and not recipe.construct.sources:
        return ("No row has a check: no answer is sampled and no teacher is asked.", here)
    if distill is None:
        return ("There is no teacher.", here)
    expert = recipe.construct.expert is not None
    shots = f"up to {distill.shots} expert demonstrations" if expert else "no demonstration"
    items = [f"train items with {shots} each"] if prompts else []
    lessons = recipe.construct.self_improve
    criticizes = lessons is not None and lessons.critic == "teacher"
    revising = any(isinstance(one, ConstitutionSource) and one.asks_teacher for one in recipe.construct.sources)
    failed = ["the student's failed attempts"] if criticizes and prompts else []
    shown = _and([*items, *failed, *supplies])
    match distill.teacher:
        case SelfTeacher():
            return (f"The teacher is the student itself; it sees {shown}.", here)
        case ModelTeacher(id=model):
            return (f"The teacher is {model}, run on this machine; it sees {shown}.", here)
        case EndpointTeacher() as teacher:
            short = [*(["items"] if items else []), *(["attempts"] if failed else []), *(["texts"] if supplies else [])]
            media = kinds_of_media(tasks.values(), "train") if prompts else ()
            return _endpoints(teacher, shown, f"These {_and(short)}", media, criticizes=criticizes or revising)


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _endpoints(
    teacher: EndpointTeacher, shown: str, what: str, media: Sequence[str], *, criticizes: bool
) -> tuple[str, ...]:
    """``shown`` is all that is sent; ``what`` is it in short."""
    first, *others = [endpoint_name(endpoint.model, endpoint.base_url) for endpoint in teacher.endpoints]
    seen = f", and the {' and the '.join(media)} in them" if media else ""
    said = [f"The teacher is {first}; it is sent {shown}{seen}."]
    for before, name in pairwise([first, *others]):
        said.append(f"What {before} does not answer is sent to {name}, in the same way.")
    to = "any of them" if others else "it"
    other = "all other answers of the student" if criticizes else "the student's answers"
    said.append(f"Probe, gate and test items and {other} are not sent to {to}.")
    hosts = {urlsplit(one.base_url).hostname or one.base_url: one.allow_remote for one in teacher.endpoints}
    away = {host: allowed for host, allowed in hosts.items() if not is_loopback(host)}
    for host, allowed in away.items():
        refused = f"{host} is not this machine and allow_remote is false: the run will refuse to start sampling."
        said.append(f"{what} leave this machine for {host}." if allowed else refused)
    return (*said, *(() if away else (HERE,)))
