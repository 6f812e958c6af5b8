"""Two endpoints that fail on purpose: the second finishes what the first leaves, and everything is counted."""

from collections import Counter
from pathlib import Path

import pytest

from support.endpoint import COMPLETION_TOKENS, PROMPT_TOKENS, Misbehaviour, endpoint
from support.fallback import CHEAP, DEAR, MOST_TOKENS, ONCE, ask, both
from tutelage.completers.endpoints.fallback import FallbackCompleter, Member
from tutelage.completers.endpoints.spending import Limits, Paid, Purse, Tokens
from tutelage.completers.endpoints.wire import most_prompt_tokens
from tutelage.completers.protocol import InGroups, Tells
from tutelage.completers.replay import answer_all
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.errors import CompletionError
from tutelage.events import Event
from tutelage.records import Answer
from tutelage.records.jsonl import RecordLog

ONE = Tokens(PROMPT_TOKENS, COMPLETION_TOKENS)


@pytest.mark.parametrize(
    ("behaviour", "reason", "earlier"),
    [
        (Misbehaviour(dies_after=40), "no longer answers|cannot be reached", 40),
        (Misbehaviour(quota=40), "wants to be paid first", 40),
        (Misbehaviour(share=1.0, faults=("401",), repeat_key=True), "rejects the key", 0),
        (Misbehaviour(share=1.0, faults=("500",)), "no longer answers", 0),
        (Misbehaviour(share=1.0, faults=("429 seconds",), wait_s=3600), "wait longer", 0),
        (Misbehaviour(refused=1.0), "refuses every request", 0),
    ],
    ids=["dies", "quota", "key", "broken", "pause", "refuses"],
)
def test_the_second_finishes_what_the_first_leaves(behaviour: Misbehaviour, reason: str, earlier: int) -> None:
    told = list[Event]()
    with endpoint(behaviour) as first, endpoint(Misbehaviour(name="two")) as second:
        completer, cheap, dear = both(first, second, patience=ONCE)
        with completer:
            completer.tell(told.append)
            answers = list(completer.complete(ask(120)))
    assert Counter(answer.request_id for answer in answers) == Counter(request.id for request in ask(120))
    assert {answer.finish for answer in answers} == {"stop"}
    for answer in answers:
        question = f"Answer to q{answer.request_id[1:]}"
        assert answer.text == (question if answer.by == "m at first" else f"{question} by two")
    by = Counter(answer.by for answer in answers)
    assert by["m at first"] == earlier
    assert by["m at second"] == 120 - earlier == second.paid.total()
    (note,) = [str(event.data["text"]) for event in told]
    assert note.startswith("m at first is asked nothing more in this call: the endpoint")
    assert note.endswith("what it leaves is asked of m at second")
    assert any(words in note for words in reason.split("|"))
    assert dear.spent == Tokens(PROMPT_TOKENS * (120 - earlier), COMPLETION_TOKENS * (120 - earlier))
    assert cheap.spent.all >= earlier * ONE.all


def test_a_first_that_is_not_there_from_the_start(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    with endpoint() as first:
        gone = first
    with endpoint() as second:
        completer, cheap, _ = both(gone, second, log=log, patience=ONCE)
        with completer:
            assert {answer.by for answer in completer.complete(ask(30))} == {"m at second"}
            assert {answer.by for answer in completer.complete(ask(5, first=30))} == {"m at second"}
    assert cheap.spent == Tokens()
    assert {line.to for line in log.load() if line.prompt_tokens} == {"m at second"}


def test_the_next_call_begins_with_the_first_again() -> None:
    with endpoint(Misbehaviour(quota=10)) as first, endpoint() as second:
        completer, *_ = both(first, second)
        with completer:
            assert {answer.by for answer in completer.complete(ask(30))} == {"m at first", "m at second"}
            first.behaviour.quota = 0
            assert {answer.by for answer in completer.complete(ask(30, first=30))} == {"m at first"}


def test_all_are_out_and_each_is_named_with_its_reason() -> None:
    with (
        endpoint(Misbehaviour(quota=20)) as first,
        endpoint(Misbehaviour(share=1.0, faults=("401",))) as second,
    ):
        completer, *_ = both(first, second, patience=ONCE)
        arrived = list[Answer]()
        with completer, pytest.raises(CompletionError) as raised:
            arrived.extend(completer.complete(ask(100)))
    said = str(raised.value)
    assert len(arrived) == 20
    assert "none of the 2 endpoints can be used" in said
    assert "m at first: the endpoint wants to be paid first" in said
    assert "m at second: the endpoint rejects the key" in said
    assert "teacher.fallback" in said
    assert second.tries.total() <= 16


def test_broken_ones_are_not_asked_for_everything() -> None:
    with (
        endpoint(Misbehaviour(share=1.0, faults=("500",))) as first,
        endpoint(Misbehaviour(share=1.0, faults=("500",))) as second,
    ):
        completer, *_ = both(first, second, patience=ONCE)
        with completer, pytest.raises(CompletionError, match=r"first: .*no longer answers.*second: .*no longer"):
            list(completer.complete(ask(500)))
        assert first.tries.total() < 80
        assert second.tries.total() < 80


def test_what_one_refuses_the_other_is_asked_and_both_are_counted(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    with endpoint(Misbehaviour(refused=0.2, filtered=0.2, seed=4)) as first, endpoint() as second:
        completer, cheap, dear = both(first, second, log=log)
        with completer:
            answers = {answer.request_id: answer for answer in completer.complete(ask(200))}
    assert {answer.finish for answer in answers.values()} == {"stop"}
    passed_on = {name for name, answer in answers.items() if answer.by == "m at second"}
    assert passed_on == {f"r{content[1:]}" for content in second.tries}
    assert len(passed_on) == first.met["400"] + first.met["filtered"]
    assert first.met["400"] > 10 < first.met["filtered"]
    for name, answer in answers.items():
        at_first = CHEAP.money(ONE) if first.paid[f"q{name[1:]}"] else 0.0
        at_second = DEAR.money(ONE) if name in passed_on else 0.0
        assert answer.money == pytest.approx(at_first + at_second), "what is filtered is paid, what is refused is not"
    by = {to: [line for line in log.load() if line.to == to] for to in ("m at first", "m at second")}
    assert [len(lines) for lines in by.values()] == [200, len(passed_on)]
    again = Purse(CHEAP, log=log, to="m at first")
    assert again.unpriced == ("m at second",)
    assert (again.spent, again.beside(DEAR, to="m at second").spent) == (cheap.spent, dear.spent)
    assert again.unpriced == ()


def test_what_all_refuse_is_one_failure_that_names_each() -> None:
    with endpoint(Misbehaviour(refused=0.3, seed=1)) as first, endpoint(Misbehaviour(refused=0.5, seed=1)) as second:
        completer, *_ = both(first, second)
        with completer:
            answers = list(completer.complete(ask(60)))
    failures = [answer for answer in answers if answer.finish == "error"]
    assert len(answers) == 60
    assert len(failures) == first.met["400"] > 0
    for answer in failures:
        assert answer.error.startswith("m at first and m at second: the endpoint answered 400: This model's context")
        assert not answer.transient
        assert answer.by == ""


def test_a_failure_may_pass_where_the_other_could_not_be_asked() -> None:
    told = list[Event]()
    with (
        endpoint(Misbehaviour(refused=0.2, seed=4)) as first,
        endpoint(Misbehaviour(share=1.0, faults=("401",))) as second,
    ):
        completer, *_ = both(first, second)
        with completer:
            completer.tell(told.append)
            answers = list(completer.complete(ask(60)))
    failures = [answer for answer in answers if answer.finish == "error"]
    assert len(failures) == first.met["400"] > 0
    assert all(answer.transient for answer in failures), "another time the second may be there"
    assert all("context is too short.; m at second could not be asked" in answer.error for answer in failures)
    (note,) = [str(event.data["text"]) for event in told]
    assert note.endswith("nobody comes after it")


def test_who_gives_up_again_and_again_is_out_though_it_gets_few_requests_at_a_time() -> None:
    with (
        endpoint(Misbehaviour(refused=0.5, seed=2, latency_s=0.01)) as first,
        endpoint(Misbehaviour(share=1.0, faults=("500",))) as second,
    ):
        completer, *_ = both(first, second, concurrency=1, patience=ONCE)
        with completer:
            answers = list(completer.complete(ask(200)))
    assert len(answers) == 200
    assert first.met["400"] > 60
    assert second.tries.total() < 40


@pytest.mark.parametrize("seed", range(4))
def test_the_ceiling_holds_over_both_at_the_price_of_each(tmp_path: Path, seed: int) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    limits = Limits(tokens=6000 + 137 * seed) if seed % 2 else Limits(money=0.03 + 0.0037 * seed)
    with (
        endpoint(Misbehaviour(share=0.2, filtered=0.2, seed=seed, quota=60 if seed < 2 else 0)) as first,
        endpoint(Misbehaviour(share=0.2, seed=seed + 1)) as second,
    ):
        arrived = list[Answer]()
        completer, cheap, dear = both(first, second, limits=limits, log=log)
        with completer, pytest.raises(CompletionError, match=r"ceiling of .* leaves no room"):
            arrived.extend(completer.complete(ask(2000)))
    assert {answer.by for answer in arrived} == {"m at first", "m at second"}
    assert cheap.reserved == dear.reserved == Tokens(), "nothing is left in flight"
    for purse, server in ((cheap, first), (dear, second)):
        assert purse.spent.all >= ONE.all * server.paid.total(), "what each took is counted"
    spent = CHEAP.money(cheap.spent) + DEAR.money(dear.spent)
    tokens = cheap.spent.all + dear.spent.all
    assert tokens <= (limits.tokens or 1e9)
    assert spent <= (limits.money or 1e9)
    worst = Tokens(most_prompt_tokens(ask(1)[0].messages) + 3, MOST_TOKENS)
    assert tokens + worst.all > (limits.tokens or 1e9) or spent + DEAR.money(worst) > (limits.money or 1e9)
    again = Purse(CHEAP, Limits(tokens=tokens), log=log, to="m at first")
    assert again.passed_by(Tokens(1, 0)), "what the second took counts though it has no purse yet"
    assert not again.passed_by(Tokens())


def test_old_lines_of_spending_were_paid_to_the_first(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    log.append(Paid(request="r1", prompt_tokens=7, tries=1), Paid(request="r2", prompt_tokens=5, tries=1, to="a"))
    purse = Purse(log=log, to="a")
    assert purse.spent == Tokens(12, 0)
    assert purse.beside(None, to="b").spent == Tokens()


def test_notes_reach_whoever_asks_and_nothing_answered_is_asked_again(tmp_path: Path) -> None:
    log, told = RecordLog(tmp_path / "answers.jsonl", Answer), list[Event]()
    with endpoint(Misbehaviour(quota=30)) as first, endpoint() as second:
        completer, *_ = both(first, second)
        with completer:
            answers = answer_all(lambda: completer, ask(60), log=log, chunk=8, emit=told.append)
            tries = first.tries.total(), second.tries.total()
            assert answer_all(lambda: completer, ask(60), log=log, chunk=8) == answers
        assert (first.tries.total(), second.tries.total()) == tries
    assert [event.kind for event in told].count("note") == 1
    assert {answer.by for answer in log.load()} == {"m at first", "m at second"}


class Closing(ScriptedCompleter):
    """Remembers that it was closed."""

    closed = False

    def __exit__(self, *exc_info: object) -> None:
        self.closed = True


def test_it_is_a_completer_in_groups_that_tells_and_closes_all_of_its_own() -> None:
    one, two = Closing({"q1": "one"}, name="a"), Closing({"q2": "two"}, name="b")
    with FallbackCompleter([Member("A", one), Member("B", two)]) as completer:
        assert isinstance(completer, InGroups)
        assert isinstance(completer, Tells)
        assert completer.engine.model == "a, b"
        answers = {answer.request_id: answer for answer in completer.complete(ask(3))}
    assert (answers["r1"].text, answers["r1"].by) == ("one", "A")
    assert (answers["r2"].text, answers["r2"].by) == ("two", "B")
    assert answers["r0"].error == "A and B: the script has no answer for this request"
    assert one.closed
    assert two.closed
