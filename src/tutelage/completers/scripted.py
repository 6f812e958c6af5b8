"""Answers from a function, a mapping or a list: for tests, dry runs and examples."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

from tutelage.completers.preparation import refuse_duplicates
from tutelage.errors import CompletionError
from tutelage.records import Answer, Engine, Request

Script = Callable[[Request], str | Answer] | Mapping[str, str] | Sequence[str]


class ScriptedCompleter:
    """Answers as written beforehand.

    ``script`` is a function of the request, a mapping from the text of the last message to the answer, or a list that
    each call answers its requests from, in order and from its start. A request without an answer in the mapping or the
    list gets ``finish="error"``. Texts longer than ``max_tokens`` are not cut: they have no tokens.
    """

    def __init__(self, script: Script, *, name: str = "script") -> None:
        if isinstance(script, str):
            raise CompletionError(
                "a script is a function, a mapping or a list of answers",
                received=repr(script[:80]),
                remedy="put the one answer into a list",
            )
        self._script = script
        self._name = name

    @property
    def engine(self) -> Engine:
        """The script's name."""
        return Engine(model=self._name, engine="scripted")

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Yield the answers in the order of the requests."""
        refuse_duplicates(requests)
        for place, request in enumerate(requests):
            answer = self._answer(request, place)
            if isinstance(answer, Answer):
                yield answer.model_copy(update={"request_id": request.id, "seed": request.seed})
            elif answer is None:
                reason = "the script has no answer for this request"
                yield Answer(request_id=request.id, text="", finish="error", error=reason, seed=request.seed)
            else:
                yield Answer(request_id=request.id, text=answer, seed=request.seed)

    def _answer(self, request: Request, place: int) -> str | Answer | None:
        match self._script:
            case Mapping():
                return self._script.get(request.messages[-1].text) if request.messages else None
            case Sequence():
                return self._script[place] if place < len(self._script) else None
            case _:
                return self._script(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to free."""
