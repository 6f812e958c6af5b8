"""Who is shown what in a run, told before it begins."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from tutelage.completers.address import is_loopback, public_address
from tutelage.completers.vllm_server import INSTALL, find_command
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.vllm import VllmEngine


def who_sees_what(recipe: Recipe, prompts: int) -> tuple[str, ...]:
    """Return in words who the teacher is, what it is shown of ``prompts`` items, who answers for the student where that
    is a server, and what leaves this machine."""
    leaving = tuple(_leaving(recipe, prompts)) or ("Nothing leaves this machine.",)
    return (*_teacher(recipe, prompts), *_server(recipe), *leaving)


def _teacher(recipe: Recipe, prompts: int) -> tuple[str, ...]:
    distill = recipe.construct.distill
    if not prompts:
        return ("No row has a check: no answer is sampled and no teacher is asked.",)
    if distill is None:
        return ("There is no teacher.",)
    shots = (
        f"up to {distill.shots} expert demonstrations" if recipe.construct.expert is not None else "no demonstration"
    )
    match distill.teacher:
        case SelfTeacher():
            return (f"The teacher is the student itself; it sees train items with {shots} each.",)
        case ModelTeacher(id=model):
            return (f"The teacher is {model}, run on this machine; it sees train items with {shots} each.",)
        case EndpointTeacher(model=model, base_url=url):
            shown = f"The teacher is {model} at {public_address(url)}; it is sent train items with {shots} each."
            return (shown, "Probe, gate and test items and the student's answers are not sent to it.")


def _server(recipe: Recipe) -> tuple[str, ...]:
    engine = recipe.engines.sampling
    if not isinstance(engine, VllmEngine):
        return ()
    instead = "the transformers engine answers in its place" if engine.fallback else "the run stops"
    never = f"Where it cannot answer, {instead}. It is never asked for what is scored."
    if engine.base_url:
        where = public_address(engine.base_url)
        shown = (
            f"The student answers through the vLLM server at {where}: it is sent train items and general instructions"
        )
        return (f"{shown}, and reads the adapters of this run from their folders. {never}",)
    command = find_command()
    if command is None:
        return (f"The student should answer through vLLM, which is not installed: {instead}. {INSTALL}.",)
    return (f"The student answers through a vLLM server that the run starts on this machine ({command}). {never}",)


def _leaving(recipe: Recipe, prompts: int) -> Iterator[str]:
    """What leaves this machine, or would."""
    distill, engine = recipe.construct.distill, recipe.engines.sampling
    reached: list[EndpointTeacher | VllmEngine] = []
    if prompts and distill is not None and isinstance(distill.teacher, EndpointTeacher):
        reached.append(distill.teacher)
    if isinstance(engine, VllmEngine) and engine.base_url:
        reached.append(engine)
    for one in reached:
        host = urlsplit(one.base_url).hostname or one.base_url
        if is_loopback(host):
            continue
        if one.allow_remote:
            yield f"These items leave this machine for {host}."
        else:
            yield f"{host} is not this machine and allow_remote is false: the run will refuse to start sampling."
