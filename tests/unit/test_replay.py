"""Asking never twice: what is logged is used, what is missing is asked as an uninterrupted run asks it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tutelage.completers.local import LocalCompleter
from tutelage.completers.protocol import Completer
from tutelage.completers.replay import Spent, answer_all, seconds_of
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.errors import CompletionError, DataError
from tutelage.events import Event, silent
from tutelage.models.tiny import tiny_model
from tutelage.records import Answer, Engine, Request, Sampling, user
from tutelage.records.jsonl import RecordLog

SAMPLING = Sampling(temperature=0.9, top_p=0.95, max_tokens=12)
REQUESTS = [
    Request(id=f"r{i}", messages=(user(f"Say {'garden ' * (1 + i % 4)}{i}."),), sampling=SAMPLING, seed=100 + i)
    for i in range(14)
]


class Counting(ScriptedCompleter):
    """Answers with the request's id and notes what it was asked; ``batch`` is the batch size that it claims."""

    def __init__(self, batch: int, broken: Sequence[str] = ()) -> None:
        super().__init__(lambda request: self.answer(request))
        self.batch, self.broken = batch, set(broken)
        self.asked: list[list[str]] = []

    def answer(self, request: Request) -> Answer:
        if request.id in self.broken:
            return Answer(request_id=request.id, text="", finish="error", error="no connection", transient=True)
        return Answer(request_id=request.id, text=f"{request.id}: {request.messages[0].text}")

    @property
    def engine(self) -> Engine:
        return Engine(model="counting", engine="scripted", batch_size=self.batch)

    def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
        self.asked.append([request.id for request in requests])
        return super().complete(requests)


class Interrupted(Exception):
    """Stands for the end of a process."""


def interrupting(after: int) -> Callable[[Event], None]:
    """An emitter that ends the work at the progress event number ``after``."""
    seen = 0

    def emit(event: Event) -> None:
        nonlocal seen
        seen += 1
        if seen == after:
            raise Interrupted

    return emit


def ask(folder: Path, completer: Completer, emit: Callable[[Event], None] = silent, chunk: int = 6) -> list[Answer]:
    return answer_all(
        lambda: completer,
        REQUESTS,
        log=RecordLog(folder / "answers.jsonl", Answer),
        chunk=chunk,
        emit=emit,
        timing=RecordLog(folder / "timing.jsonl", Spent),
    )


def test_answers_come_in_the_order_of_the_requests_and_are_asked_once(tmp_path: Path) -> None:
    engine = Counting(batch=4)
    first = ask(tmp_path, engine)
    assert [answer.request_id for answer in first] == [request.id for request in REQUESTS]
    assert [len(asked) for asked in engine.asked] == [6, 6, 2]

    def never() -> Completer:
        raise AssertionError("nothing is to be asked")

    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    assert answer_all(never, REQUESTS, log=log, chunk=6) == first
    assert answer_all(never, REQUESTS, log=log, chunk=4) == first


def test_a_chunk_holds_requests_of_one_key_and_answers_keep_their_order(tmp_path: Path) -> None:
    engine = Counting(batch=4)
    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    timing = RecordLog(tmp_path / "timing.jsonl", Spent)
    keys = [number % 3 for number in range(len(REQUESTS))]
    found = answer_all(lambda: engine, REQUESTS, log=log, chunk=3, together=keys, timing=timing)
    assert [answer.request_id for answer in found] == [request.id for request in REQUESTS]
    asked = [["r0", "r3", "r6"], ["r9", "r12"], ["r1", "r4", "r7"], ["r10", "r13"], ["r2", "r5", "r8"], ["r11"]]
    assert engine.asked == asked
    assert len({spent.start for spent in timing.load()}) == len(asked), "each chunk has a time of its own"


def test_a_batch_engine_gets_its_unfinished_chunk_whole_and_an_endpoint_only_what_is_missing(tmp_path: Path) -> None:
    for name, batch, again in (
        ("local", 4, [["r6", "r7", "r8", "r9", "r10", "r11"], ["r12", "r13"]]),
        ("remote", 0, [["r9", "r10", "r11", "r12", "r13"]]),
    ):
        engine = Counting(batch=batch)
        with pytest.raises(Interrupted):
            ask(tmp_path / name, engine, interrupting(9))
        engine.asked.clear()
        whole = ask(tmp_path / name, engine)
        assert engine.asked == again
        assert len({answer.request_id for answer in whole}) == len(REQUESTS)
        lines = (tmp_path / name / "answers.jsonl").read_text().splitlines()
        assert len(lines) == len(REQUESTS), "an answer is logged once"


@pytest.mark.parametrize("after", [1, 5, 7, 13])
def test_sampled_answers_are_equal_wherever_the_work_was_interrupted(tmp_path: Path, after: int) -> None:
    bundle = tiny_model()
    whole = ask(tmp_path / "whole", LocalCompleter(bundle, batch_size=3))
    with pytest.raises(Interrupted):
        ask(tmp_path / "cut", LocalCompleter(bundle, batch_size=3), interrupting(after))
    assert ask(tmp_path / "cut", LocalCompleter(tiny_model(), batch_size=3)) == whole
    assert any(answer.text for answer in whole)


def test_the_answer_to_another_question_with_the_same_id_does_not_count(tmp_path: Path) -> None:
    engine = Counting(batch=0)
    ask(tmp_path, engine)
    engine.asked.clear()
    changed = [REQUESTS[0].model_copy(update={"messages": (user("Something else."),)}), *REQUESTS[1:]]
    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    found = answer_all(lambda: engine, changed, log=log, chunk=6)
    assert engine.asked == [["r0"]]
    assert found[0].text == "r0: Something else."
    assert answer_all(lambda: engine, changed, log=log, chunk=6) == found
    assert engine.asked == [["r0"]], "the newer answer is the one that counts"


def test_what_an_endpoint_failed_to_answer_is_asked_again_and_what_it_answered_is_not(tmp_path: Path) -> None:
    first = ask(tmp_path, Counting(batch=0, broken=["r2", "r13"]))
    assert [answer.request_id for answer in first if answer.finish == "error"] == ["r2", "r13"]
    engine = Counting(batch=0)
    second = ask(tmp_path, engine)
    assert engine.asked == [["r2", "r13"]]
    assert all(answer.finish == "stop" for answer in second)


def test_what_is_refused_for_good_is_asked_again_only_if_that_is_wished(tmp_path: Path) -> None:
    class Refusing(Counting):
        def answer(self, request: Request) -> Answer:
            return super().answer(request).model_copy(update={"transient": False})

    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    first = ask(tmp_path, Refusing(batch=0, broken=["r2", "r13"]))
    engine = Counting(batch=0)
    assert ask(tmp_path, engine) == first
    assert engine.asked == []
    last = answer_all(lambda: engine, REQUESTS, log=log, chunk=6, again=True)
    assert engine.asked == [["r2", "r13"]]
    assert all(answer.finish == "stop" for answer in last)


def test_progress_tells_rate_time_left_yield_tokens_and_money(tmp_path: Path) -> None:
    class Priced(Counting):
        def answer(self, request: Request) -> Answer:
            return super().answer(request).model_copy(update={"money": 0.25, "completion_tokens": 3})

    told: list[Event] = []
    answer_all(
        lambda: Priced(batch=0, broken=["r0"]),
        REQUESTS[:4],
        log=RecordLog(tmp_path / "answers.jsonl", Answer),
        chunk=6,
        emit=told.append,
    )
    last = told[-1].data
    assert (last["done"], last["total"], last["tokens"], last["money"], last["yield"]) == (4, 4, 12, 1.0, 0.75)
    assert last["eta_s"] == 0
    for left, event in zip((3, 2, 1, 0), told, strict=True):
        rate, eta = float(str(event.data["rate"])), float(str(event.data["eta_s"]))
        assert rate > 0
        assert eta == pytest.approx(left / rate, abs=0.06)


def test_an_error_of_a_batch_engine_is_its_answer(tmp_path: Path) -> None:
    first = ask(tmp_path, Counting(batch=4, broken=["r2"]))
    engine = Counting(batch=4)
    assert ask(tmp_path, engine) == first
    assert engine.asked == []


def test_a_torn_last_line_is_asked_again_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    whole = ask(tmp_path, Counting(batch=0))
    file = tmp_path / "answers.jsonl"
    content = file.read_bytes()
    file.write_bytes(content[:-20])
    engine = Counting(batch=0)
    told: list[Event] = []
    assert ask(tmp_path, engine, told.append) == whole
    assert engine.asked == [["r13"]]
    assert [event.data["text"] for event in told if event.kind == "note"] == [
        "answers: a crash cut off the last answer of answers.jsonl: it is left out, and asked again"
    ]
    assert file.read_bytes() == content
    file.write_bytes(content.replace(b'"request_id":"r3"', b'"request":"r3"', 1))
    with pytest.raises(DataError, match=r"answers\.jsonl:4"):
        ask(tmp_path, Counting(batch=0))


def test_an_engine_that_leaves_a_request_out_is_refused(tmp_path: Path) -> None:
    class Lossy(Counting):
        def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
            return super().complete([request for request in requests if request.id != "r4"])

    with pytest.raises(CompletionError, match="r4"):
        ask(tmp_path, Lossy(batch=0))
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == len(REQUESTS) - 1, "the others are kept"


def test_requests_with_one_id_are_refused_wherever_they_stand(tmp_path: Path) -> None:
    engine = Counting(batch=4)
    twice = [*REQUESTS[:8], REQUESTS[9].model_copy(update={"id": "r2"})]
    with pytest.raises(CompletionError, match=r"different ids.*r2"):
        answer_all(lambda: engine, twice, log=RecordLog(tmp_path / "answers.jsonl", Answer), chunk=6)
    assert engine.asked == [], "before anything is asked"


def test_the_time_of_a_chunk_is_known_after_an_interruption(tmp_path: Path) -> None:
    timing = RecordLog(tmp_path / "timing.jsonl", Spent)
    with pytest.raises(Interrupted):
        ask(tmp_path, Counting(batch=4), interrupting(9))
    assert [spent.start for spent in timing.load()] == [0]
    ask(tmp_path, Counting(batch=4))
    assert [spent.start for spent in timing.load()] == [0, 6, 12]
    timing.append(Spent(label="answers", start=12, seconds=2.5), Spent(label="others", start=0, seconds=9.0))
    earlier = sum(spent.seconds for spent in timing.load()[:2])
    assert seconds_of(timing, "answers") == pytest.approx(earlier + 2.5), "of a chunk sent twice the last time counts"
