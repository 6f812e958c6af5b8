"""The default model: answers of an interrupted chunk are those of a whole one, on both engines that sample."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tutelage.completers.ct2 import CTranslate2Completer, ctranslate2_installed
from tutelage.completers.local import LocalCompleter
from tutelage.completers.protocol import Completer
from tutelage.completers.replay import answer_all
from tutelage.events import Event, silent
from tutelage.models.load import Bundle, load_bundle
from tutelage.records import Answer, Request, Sampling, user
from tutelage.records.jsonl import RecordLog

pytestmark = pytest.mark.slow
THINGS = ("a river", "bread", "a lighthouse", "the moon", "a bicycle", "snow")
REQUESTS = [
    Request(
        id=f"{thing}/{sample}",
        messages=(user(f"Describe {thing} in one sentence."),),
        sampling=Sampling(temperature=0.8, top_p=0.95, max_tokens=32),
        seed=97 * place + sample,
    )
    for place, thing in enumerate(THINGS)
    for sample in range(4)
]


class Interrupted(Exception):
    """Stands for the end of a process."""


def ask(folder: Path, make: Callable[[], Completer], after: int | None = None) -> list[Answer]:
    """Ask all requests in chunks of 12; stop after so many answers."""
    answers = 0

    def emit(event: Event) -> None:
        nonlocal answers
        answers += 1
        if answers == after:
            raise Interrupted

    with make() as completer:
        return answer_all(
            lambda: completer,
            REQUESTS,
            log=RecordLog(folder / "answers.jsonl", Answer),
            chunk=12,
            emit=silent if after is None else emit,
        )


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("default")


@pytest.mark.parametrize("engine", ["transformers", "ctranslate2"])
def test_answers_are_equal_wherever_sampling_was_interrupted(bundle: Bundle, engine: str, tmp_path: Path) -> None:
    if engine == "ctranslate2" and not ctranslate2_installed():
        pytest.skip("CTranslate2 is not installed")

    def make() -> Completer:
        if engine == "transformers":
            return LocalCompleter(bundle, batch_size=8)
        return CTranslate2Completer.of(bundle, workers=2, batch_size=4)

    whole = ask(tmp_path / "whole", make)
    for after in (5, 16):
        with pytest.raises(Interrupted):
            ask(tmp_path / str(after), make, after)
        assert ask(tmp_path / str(after), make) == whole
    assert len({answer.text for answer in whole}) > len(THINGS), "the samples of one prompt differ"
