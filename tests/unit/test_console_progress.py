"""What a log file sees of answers as they come."""

import time
from collections.abc import Iterator

import pytest

from tutelage.cli import console
from tutelage.cli.console import Terminal
from tutelage.events import Event


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    yield now
    monkeypatch.undo()
    assert time.monotonic() > 0


def test_progress_of_paid_answers_tells_rate_time_left_yield_and_money(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    told: dict[str, float] = {"tokens": 900, "eta_s": 660.0, "yield": 0.975, "money": 1.5}
    with Terminal() as terminal:
        for at, done in ((0.0, 0), (40.0, 40)):
            clock[0] = at
            terminal(Event("progress", "construct", data={"label": "teacher", "done": done, "total": 700, **told}))
    said = capsys.readouterr().err
    assert "construct: teacher 40/700" in said
    assert "22 tokens/s, 97.5% came, 1.50 spent, 11 min left" in said


def test_nothing_is_said_of_what_is_not_known(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal() as terminal:
        for at, done in ((0.0, 0), (40.0, 40)):
            clock[0] = at
            terminal(Event("progress", "tune", data={"label": "rows", "done": done, "total": 700}))
    said = capsys.readouterr().err
    assert "1.0 items/s" in said
    assert not any(word in said for word in ("came", "spent", "left"))
