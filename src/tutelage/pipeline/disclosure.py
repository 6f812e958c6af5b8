"""Who is shown what in a run, told before it begins."""

from urllib.parse import urlsplit, urlunsplit

from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher

THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def who_sees_what(recipe: Recipe, prompts: int) -> tuple[str, ...]:
    """Return in words who the teacher is, what it is shown of ``prompts`` items, and what leaves this machine."""
    distill = recipe.construct.distill
    here = "Nothing leaves this machine."
    if not prompts:
        return ("No row has a check: no answer is sampled and no teacher is asked.", here)
    if distill is None:
        return ("There is no teacher.", here)
    shots = (
        f"up to {distill.shots} expert demonstrations" if recipe.construct.expert is not None else "no demonstration"
    )
    match distill.teacher:
        case SelfTeacher():
            return (f"The teacher is the student itself; it sees train items with {shots} each.", here)
        case ModelTeacher(id=model):
            return (f"The teacher is {model}, run on this machine; it sees train items with {shots} each.", here)
        case EndpointTeacher() as endpoint:
            parts = urlsplit(endpoint.base_url)
            host = parts.hostname or endpoint.base_url
            address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
            shown = f"The teacher is {endpoint.model} at {address}; it is sent train items with {shots} each."
            kept = "Probe, gate and test items and the student's answers are not sent to it."
            if host in THIS_MACHINE:
                return (shown, kept, here)
            if endpoint.allow_remote:
                return (shown, kept, f"These items leave this machine for {host}.")
            refused = f"{host} is not this machine and allow_remote is false: the run will refuse to start sampling."
            return (shown, kept, refused)
