"""Killed while paid answers come in, and begun again: what was answered is never asked a second time."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.endpoint import Misbehaviour, endpoint
from tutelage.completers.endpoints.spending import Paid
from tutelage.records import Answer
from tutelage.records.jsonl import RecordLog

CHILD = Path(__file__).parent / "teaching.py"
COUNT = 240


@pytest.mark.parametrize("seed", [0, 1])
def test_a_kill_at_a_random_moment_loses_no_paid_answer(tmp_path: Path, seed: int) -> None:
    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    spending = RecordLog(tmp_path / "spending.jsonl", Paid)
    draw = random.Random(seed)
    behaviour = Misbehaviour(share=0.2, seed=seed, latency_s=0.05, faults=("429", "500", "cut before", "html"))
    with endpoint(behaviour) as server:
        command = [sys.executable, str(CHILD), str(tmp_path), str(COUNT), server.url]
        for _ in range(2):
            before = len(log.load())
            child = subprocess.Popen(command)
            while len(log.load()) < before + draw.randint(10, 60):
                assert child.poll() is None, "it was killed in the middle"
                time.sleep(0.005)
            child.kill()
            child.wait()
            answered = {answer.request_id for answer in log.load() if answer.finish != "error"}
            held = {name: server.tries[f"q{name[1:]}"] for name in answered}
            time.sleep(0.2)  # what was in flight is over
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout) >= COUNT - 1
        assert {name: server.tries[f"q{name[1:]}"] for name in held} == held, "what was logged is not asked again"
        twice = server.paid.total() - len(server.paid)
    assert twice <= 2 * 4 * 16 + 16, "only what was in flight or not yet written at the kills is asked again"
    names = [answer.request_id for answer in log.load() if answer.finish != "error"]
    assert len(names) == len(set(names))
    assert sum(line.tries for line in spending.load()) <= server.tries.total()
    line = (tmp_path / "answers.jsonl").read_bytes()
    (tmp_path / "answers.jsonl").write_bytes(line[:-9])
    assert log.torn


def test_kills_while_two_endpoints_are_asked_lose_no_paid_answer(tmp_path: Path) -> None:
    """The first refuses some, and its account is empty later on; the second answers what the first does not."""
    log = RecordLog(tmp_path / "answers.jsonl", Answer)
    draw = random.Random(5)
    one = Misbehaviour(
        share=0.1, refused=0.2, seed=5, latency_s=0.05, faults=("429", "500", "html"), quota=70, name="1"
    )
    two = Misbehaviour(share=0.1, seed=6, latency_s=0.05, faults=("429", "500", "html"), name="2")
    with endpoint(one) as first, endpoint(two) as second:

        def tries(name: str) -> int:
            return first.tries[f"q{name[1:]}"] + second.tries[f"q{name[1:]}"]

        command = [sys.executable, str(CHILD), str(tmp_path), str(COUNT), first.url, second.url]
        for _ in range(3):
            before = len(log.load())
            child = subprocess.Popen(command)
            while len(log.load()) < before + draw.randint(10, 50):
                assert child.poll() is None, "it was killed in the middle"
                time.sleep(0.005)
            child.kill()
            child.wait()
            held = {answer.request_id: tries(answer.request_id) for answer in log.load() if answer.finish != "error"}
            time.sleep(0.2)  # what was in flight is over
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert int(done.stdout) == COUNT
        assert {name: tries(name) for name in held} == held, "what was logged is asked again of neither"
        by = {"1": first.url, "2": second.url}
        answers = log.load()
    assert len(answers) == len({answer.request_id for answer in answers}) == COUNT
    for answer in answers:
        assert answer.by == by[answer.text[-1]]
    assert {answer.by for answer in answers} == set(by.values())
    for server in (first, second):
        paid = sum(line.tries for line in RecordLog(tmp_path / "spending.jsonl", Paid).load() if line.to == server.url)
        assert 0 < paid <= server.tries.total()
