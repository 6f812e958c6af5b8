"""Who answers for the student where that is a vLLM server, told before a run begins."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from tutelage.completers.endpoints.address import is_loopback, public_address
from tutelage.completers.vllm.server import INSTALL, find_command
from tutelage.recipe import Recipe
from tutelage.recipe.vllm import VllmEngine

NOTHING = "Nothing leaves this machine."


def with_server(told: Sequence[str], recipe: Recipe) -> tuple[str, ...]:
    """Return ``told``, of which the last says what leaves this machine, with what a vLLM server of ``recipe`` adds."""
    engine = recipe.engines.sampling
    if not isinstance(engine, VllmEngine):
        return tuple(told)
    *others, last = told
    leaving, said = list(_leaving(engine)), _server(engine, _sent(recipe))
    if leaving and last == NOTHING:
        return (*others, said, *leaving)
    return (*others, said, last, *leaving)


def _sent(recipe: Recipe) -> str:
    own = {source.kind for source in recipe.construct.sources if not source.taught or source.kind == "constitution"}
    sent = ["train items and general instructions"]
    from_experts = own & {"self_instruct", "evolve", "self_rewarding"}
    sent += ["tasks of experts and what is written from them"] if from_experts else []
    sent += ["tasks of experts and passages of documents"] if "back_translation" in own else []
    sent += ["questions with reasons"] if "star" in own else []
    sent += ["prompts of a constitution"] if "constitution" in own else []
    sent += ["rows to reflect on"] if "reflection" in own else []
    return ", ".join(sent)


def _server(engine: VllmEngine, what: str) -> str:
    instead = "the transformers engine answers in its place" if engine.fallback else "the run stops"
    never = f"Where it cannot answer, {instead}. It is never asked for what is scored."
    if engine.base_url:
        where = public_address(engine.base_url)
        return (
            f"The student answers through the vLLM server at {where}: it is sent {what}, and reads the adapters of "
            f"this run from their folders. {never}"
        )
    command = find_command()
    if command is None:
        return f"The student should answer through vLLM, which is not installed: {instead}. {INSTALL}."
    return f"The student answers through a vLLM server that the run starts on this machine ({command}). {never}"


def _leaving(engine: VllmEngine) -> Iterator[str]:
    """What leaves this machine for the server, or would."""
    host = urlsplit(engine.base_url).hostname or engine.base_url
    if not engine.base_url or is_loopback(host):
        return
    if engine.allow_remote:
        yield f"These items leave this machine for {host}."
    else:
        yield f"{host} is not this machine and allow_remote is false: the run will refuse to start sampling."
