"""The endpoint completer against a server that fails at random: one answer or one named failure for every prompt."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from support.endpoint import COMPLETION_TOKENS, PROMPT_TOKENS, Misbehaviour, endpoint
from tutelage.completers.endpoints.gate import FIRST, Gate, Stopped
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.spending import Limits, Paid, Purse, Tariff, Tokens
from tutelage.completers.endpoints.wire import most_prompt_tokens
from tutelage.errors import CompletionError
from tutelage.records import Message, Request, Sampling, user
from tutelage.records.jsonl import RecordLog
from tutelage.records.messages import ImagePart

QUICK = Patience(retries=8, base_s=0.002, longest_s=0.02, total_s=30)
HASTY = replace(QUICK, connect_s=5, answer_s=0.6)
TARIFF = Tariff(prompt=1.0, completion=10.0)
MOST_TOKENS = 20


def ask(count: int, first: int = 0) -> list[Request]:
    return [
        Request(id=f"r{n}", messages=(user(f"q{n}"),), sampling=Sampling(max_tokens=MOST_TOKENS), seed=n)
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_prompt_ends_in_one_answer_or_one_named_failure(seed: int) -> None:
    with (
        endpoint(Misbehaviour(share=0.2, seed=seed)) as server,
        RemoteCompleter(server.url, "m", concurrency=48, patience=HASTY) as completer,
    ):
        requests = ask(300)
        answers = list(completer.complete(requests))
    assert Counter(answer.request_id for answer in answers) == Counter(request.id for request in requests)
    texts = {answer.request_id: answer.text for answer in answers if answer.finish == "stop"}
    assert texts == {name: f"Answer to q{name[1:]}" for name in texts}, "each gets the answer to its own question"
    assert len(texts) >= 297, "of 20 % of faults hardly any is met nine times"
    assert all(answer.error and answer.transient for answer in answers if answer.finish == "error")
    assert len(server.met) >= 12, f"nearly every fault was met: {server.met}"


def test_what_a_request_can_never_get_past_is_named() -> None:
    named = {
        "429": "429",
        "500": "500",
        "503": "503",
        "hang": "Timeout",
        "cut before": "Protocol",
        "cut within": "Protocol",
        "half": "cannot be read",
        "html": "<html>",
        "error": "overloaded",
        "empty": "empty",
    }
    for fault, words in named.items():
        patience = Patience(retries=1, base_s=0.001, answer_s=0.2)
        with (
            endpoint(Misbehaviour(share=1.0, faults=(fault,))) as server,
            RemoteCompleter(server.url, "m", patience=patience) as completer,
        ):
            (answer,) = completer.complete(ask(1))
        assert (answer.finish, answer.transient) == ("error", True), fault
        assert words in answer.error, (fault, answer.error)
        assert "tried 2 times" in answer.error
        assert server.tries.total() == 2


def test_a_slow_start_is_waited_for() -> None:
    with (
        endpoint(Misbehaviour(slow_start=20)) as server,
        RemoteCompleter(server.url, "m", patience=QUICK) as completer,
    ):
        assert all(answer.finish == "stop" for answer in completer.complete(ask(30)))
    assert server.met["503"] == 20


def test_an_endpoint_that_is_down_ends_the_call_instead_of_every_request() -> None:
    patience = Patience(retries=1, base_s=0.001)
    with (
        endpoint(Misbehaviour(share=1.0, faults=("500",))) as server,
        RemoteCompleter(server.url, "m", patience=patience) as completer,
        pytest.raises(CompletionError, match=r"no longer answers.*500"),
    ):
        list(completer.complete(ask(500)))
    assert server.tries.total() < 80


def test_fewer_are_sent_while_requests_are_turned_away_and_more_when_not() -> None:
    patience = Patience(retries=200, base_s=0.005, longest_s=0.1)
    with (
        endpoint(Misbehaviour(latency_s=0.15, most=6)) as server,
        RemoteCompleter(server.url, "m", concurrency=64, patience=patience) as completer,
    ):
        assert all(answer.finish == "stop" for answer in completer.complete(ask(120)))
        limit = completer.standing.limit
    assert limit is not None
    assert limit <= 24
    assert server.met["429"] < 240, "most of what was sent was taken"
    with (
        endpoint(Misbehaviour(latency_s=0.15)) as server,
        RemoteCompleter(server.url, "m", concurrency=64) as completer,
    ):
        list(completer.complete(ask(200)))
    assert FIRST < server.most_at_once <= 64


def test_a_pause_that_the_endpoint_asks_for_holds_for_all() -> None:
    with (
        endpoint(Misbehaviour(share=0.05, faults=("429 seconds",), wait_s=0.3, seed=3)) as server,
        RemoteCompleter(server.url, "m", concurrency=4, patience=QUICK) as completer,
    ):
        began = time.monotonic()
        assert all(answer.finish == "stop" for answer in completer.complete(ask(40)))
    assert 1 <= server.met["429 seconds"] <= 8
    assert time.monotonic() - began >= 0.3


def test_an_endpoint_that_asks_to_wait_too_long_ends_the_call() -> None:
    with (
        endpoint(Misbehaviour(share=1.0, faults=("429 seconds",), wait_s=3600)) as server,
        RemoteCompleter(server.url, "m") as completer,
        pytest.raises(CompletionError, match=r"wait longer.*3,600 s; patience_s is 600"),
    ):
        list(completer.complete(ask(40)))


@pytest.mark.parametrize("seed", range(6))
def test_the_ceiling_is_never_passed_and_what_was_spent_is_known_after_it(tmp_path: Path, seed: int) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    limits = Limits(tokens=2000 + 137 * seed) if seed % 2 else Limits(money=0.005 + 0.0005 * seed)
    with endpoint(Misbehaviour(share=0.2, seed=seed)) as server:
        arrived = []
        purse = Purse(TARIFF, limits, log=log)
        with RemoteCompleter(server.url, "m", concurrency=16, patience=HASTY, purse=purse) as completer:
            with pytest.raises(CompletionError, match=r"ceiling of .* leaves no room.*spent so far: .*tokens"):
                arrived.extend(completer.complete(ask(2000)))
            assert arrived, "what came before it is given on"
        paid = Tokens(PROMPT_TOKENS * server.paid.total(), COMPLETION_TOKENS * server.paid.total())
        assert purse.reserved == Tokens(), "nothing is left in flight"
        assert purse.spent.all >= paid.all, "what the endpoint counted is counted"
        most = limits.tokens or 1e9
        money = limits.money or 1e9
        assert purse.spent.all <= most
        assert TARIFF.money(purse.spent) <= money
        worst = Tokens(most_prompt_tokens(ask(1)[0].messages) + 3, MOST_TOKENS)
        assert purse.spent.plus(worst).all > most or TARIFF.money(purse.spent.plus(worst)) > money, "nothing is wasted"
        again = Purse(TARIFF, limits, log=log)
        assert again.spent == purse.spent
        before = server.tries.total()
        with (
            RemoteCompleter(server.url, "m", purse=again) as completer,
            pytest.raises(CompletionError, match="leaves no room"),
        ):
            list(completer.complete(ask(5, first=5000)))
        assert server.tries.total() == before, "nothing is sent when it is used up"
        more = Purse(TARIFF, Limits(tokens=again.spent.all + 5 * worst.all), log=log)
        with RemoteCompleter(server.url, "m", patience=HASTY, purse=more) as completer:
            assert len(list(completer.complete(ask(2, first=6000)))) == 2


def test_the_ceiling_of_hours_counts_time_of_earlier_processes(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    log.append(Paid(request="r", seconds=3599.7, tries=1))
    with (
        endpoint(Misbehaviour(latency_s=0.05)) as server,
        RemoteCompleter(server.url, "m", concurrency=2, purse=Purse(limits=Limits(hours=1), log=log)) as completer,
        pytest.raises(CompletionError, match="ceiling of 1 hours"),
    ):
        list(completer.complete(ask(200)))
    assert 1 <= server.paid.total() <= 30


def test_what_is_broken_off_is_counted_at_its_worst(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "spending.jsonl", Paid)
    with (
        endpoint(Misbehaviour(share=1.0, faults=("hang",))) as server,
        RemoteCompleter(server.url, "m", concurrency=3, purse=Purse(TARIFF, log=log)) as completer,
    ):
        picture = Message(role="user", content=(ImagePart(kind="image", uri="a.png"),))
        stream = completer.complete([Request(id="picture", messages=(picture,)), *ask(3)])
        assert next(stream).error, "a picture is refused before anything is sent"
        while server.met["hang"] < 3:
            time.sleep(0.01)
        stream.close()
    worst = sum(most_prompt_tokens(request.messages) + MOST_TOKENS for request in ask(3))
    assert sum(line.assumed for line in log.load()) == worst


def test_money_stands_on_the_answer_with_its_failed_tries() -> None:
    with (
        endpoint(Misbehaviour(share=0.5, faults=("half",), seed=5)) as server,
        RemoteCompleter(server.url, "m", patience=QUICK, purse=Purse(TARIFF)) as completer,
    ):
        answers = {answer.request_id: answer for answer in completer.complete(ask(20))}
    once, lost = TARIFF.money(Tokens(PROMPT_TOKENS, COMPLETION_TOKENS)), set()
    for request in ask(20):
        failures = server.tries[request.messages[0].text] - 1
        worst = TARIFF.money(Tokens(most_prompt_tokens(request.messages), MOST_TOKENS))
        assert answers[request.id].money == pytest.approx(once + failures * worst)
        lost.add(failures)
    assert max(lost) >= 1


def test_the_key_stands_in_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_KEY", "very-secret-key")
    with (
        endpoint(Misbehaviour(share=1.0, faults=("500",), repeat_key=True)) as server,
        RemoteCompleter(server.url, "m", key_variable="ENDPOINT_KEY", patience=Patience(retries=0)) as completer,
    ):
        (answer,) = completer.complete(ask(1))
    assert "very-secret-key" not in answer.to_json()
    assert "[key]" in answer.error


def test_a_gate_lets_in_no_more_than_its_limit_and_wakes_all_when_it_stops() -> None:
    async def scene() -> None:
        gate = Gate(2, Purse(), ceiling=CompletionError)
        worst = Tokens(1, 1)
        await gate.enter(worst)
        await gate.enter(worst)
        third = asyncio.create_task(gate.enter(worst))
        asleep = asyncio.create_task(gate.sleep(60))
        await asyncio.sleep(0)
        assert not third.done()
        gate.leave(worst, worst, turned_away=False)
        await third
        assert gate.in_flight == 2
        gate.stop(CompletionError("enough"))
        for task in (asleep, asyncio.create_task(gate.enter(worst))):
            with pytest.raises(Stopped):
                await task

    asyncio.run(scene())


def test_waiting_is_bounded_however_many_tries_are_left() -> None:
    patience = Patience(retries=10_000, base_s=0.02, longest_s=0.05, total_s=0.3)
    with (
        endpoint(Misbehaviour(share=1.0, faults=("503",))) as server,
        RemoteCompleter(server.url, "m", patience=patience) as completer,
    ):
        began = time.monotonic()
        (answer,) = completer.complete(ask(1))
    assert answer.transient
    assert "503" in answer.error
    assert 6 <= server.tries.total() < 100
    assert time.monotonic() - began < 60, "not the ten thousand tries"


def test_the_number_in_flight_follows_the_share_that_is_turned_away() -> None:
    async def scene() -> list[float]:
        gate, limits = Gate(20, Purse(), ceiling=CompletionError), []
        # (exchanges of a round, turned away): doubled, kept at most; halved; × 6/10; one more, though two failed
        for seen, away in ((10, 0), (16, 0), (20, 20), (10, 4), (10, 2), (10, 10), (10, 10), (10, 10), (10, 10)):
            for number in range(seen):
                await gate.enter(Tokens())
                gate.leave(Tokens(), Tokens(), turned_away=number < away)
            limits.append(gate.limit)
        return limits

    assert asyncio.run(scene()) == pytest.approx([16, 20, 10, 6, 7, 3.5, 1.75, 1, 1])


@pytest.mark.parametrize("wanted", [1, 2])
def test_a_quota_that_the_last_answer_used_up_ends_nothing(wanted: int) -> None:
    with (
        endpoint(Misbehaviour(exhausted_s=9999.0)) as server,
        RemoteCompleter(server.url, "m", concurrency=1, patience=QUICK) as completer,
    ):
        answers = completer.complete(ask(wanted))
        assert next(answers).finish == "stop"
        if wanted == 1:
            assert list(answers) == []
        else:
            with pytest.raises(CompletionError, match="asks to wait longer than this run would"):
                list(answers)
    assert server.tries.total() == 1
