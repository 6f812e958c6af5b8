"""Who is shown what in a run, told before it begins."""

from urllib.parse import urlsplit, urlunsplit

from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher

THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def who_sees_what(recipe: Recipe, prompts: int, passages: int = 0) -> tuple[str, ...]:
    """Return in words who the teacher is, what it is shown of ``prompts`` items and ``passages`` of documents a round,
    and what leaves this machine."""
    distill = recipe.construct.distill
    here = "Nothing leaves this machine."
    if not prompts and not passages:
        return ("No row has a check: no answer is sampled and no teacher is asked.", here)
    if distill is None:
        return ("There is no teacher.", here)
    expert = recipe.construct.expert is not None
    shots = f"up to {distill.shots} expert demonstrations" if expert else "no demonstration"
    items = [f"train items with {shots} each"] if prompts else []
    shown = " and ".join([*items, *([f"{passages:,} passages of documents a round"] if passages else [])])
    match distill.teacher:
        case SelfTeacher():
            return (f"The teacher is the student itself; it sees {shown}.", here)
        case ModelTeacher(id=model):
            return (f"The teacher is {model}, run on this machine; it sees {shown}.", here)
        case EndpointTeacher() as endpoint:
            parts = urlsplit(endpoint.base_url)
            host = parts.hostname or endpoint.base_url
            address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
            sent = f"The teacher is {endpoint.model} at {address}; it is sent {shown}."
            kept = "Probe, gate and test items and the student's answers are not sent to it."
            if host in THIS_MACHINE:
                return (sent, kept, here)
            if endpoint.allow_remote:
                what = "These passages" if not prompts else "These items and passages" if passages else "These items"
                return (sent, kept, f"{what} leave this machine for {host}.")
            refused = f"{host} is not this machine and allow_remote is false: the run will refuse to start sampling."
            return (sent, kept, refused)
