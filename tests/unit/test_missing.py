"""What never came and what nobody could judge: counted apart, said once, and too much of it stops the stage."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.classroom import Script, Shout, answered, asker, kept_text, lesson, sampler, shout
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.distill import distill
from tutelage.construct.sampling import Asker
from tutelage.errors import CompletionError
from tutelage.events import Event
from tutelage.records import Answer, Engine, Item, Request
from tutelage.records.tradeoff import TradeOff

WORDS = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")
PROMPTS = [(item, item.messages) for item in map(shout, WORDS)]


def broken(reason: str, transient: bool = True) -> Answer:
    return Answer(request_id="", text="", finish="error", error=reason, transient=transient)


def named(request: Request) -> str:
    return request.id.removeprefix("id-").split("/")[0]


class Failing(ScriptedCompleter):
    """Answers all right but for the words ``lost``; notes what it was asked; ``batch`` is the size that it claims."""

    def __init__(self, lost: Sequence[str] = (), *, error: Answer | None = None, batch: int = 0) -> None:
        super().__init__(self.reply, name="endpoint")
        self.lost, self.error, self.batch = lost, error or broken("no connection"), batch
        self.asked: list[str] = []

    def reply(self, request: Request) -> Answer:
        self.asked.append(named(request))
        return self.error if named(request) in self.lost else answered(named(request).upper())

    @property
    def engine(self) -> Engine:
        return Engine(model="endpoint", engine="scripted", batch_size=self.batch)


def test_errors_and_what_nobody_could_judge_are_no_failed_attempts(tmp_path: Path) -> None:
    said: list[Event] = []
    asking = replace(sampler(tmp_path), emit=said.append)
    script: Script = {
        "ant/attempts": ["ANT", broken("time-out")],
        "bee/attempts": ["?", "bee"],
        "cat/attempts": [broken("busy"), "?"],
    }
    asked = asking.ask("attempts", asker(script), PROMPTS[:3], samples=2, paradigm="self")
    assert [len(group) for group in asked] == [2, 2, 2], "they stay where they were"
    meter = asking.meters["self"]
    assert (meter.answers, meter.passed, meter.errors, meter.unjudged) == (2, 1, 2, 2)
    (cell,) = asking.cells.values()
    assert (cell.attempted, cell.accepted) == (2, 1)
    (note,) = [event.data["text"] for event in said if event.kind == "note"]
    assert note == "attempts: 2 of 6 answers did not come and count nowhere; the first: time-out"


def test_without_verification_only_what_never_came_is_left_out(tmp_path: Path) -> None:
    asking = sampler(tmp_path, verify=False)
    asking.ask("attempts", asker({"attempts": ["?", "ant", broken("busy")]}), PROMPTS[:1], samples=3, paradigm="self")
    meter = asking.meters["self"]
    assert (meter.answers, meter.passed, meter.errors, meter.unjudged) == (2, 2, 1, 0)


def test_an_endpoint_that_dies_stops_the_stage_and_the_same_call_asks_for_the_rest_alone(tmp_path: Path) -> None:
    dying = Failing(lost=WORDS[5:])
    with pytest.raises(CompletionError, match=r"teacher: 3 of 8 answers.*no connection.*same command again"):
        sampler(tmp_path).ask("teacher", Asker(lambda: dying, "t"), PROMPTS, samples=1, paradigm="distill")
    whole = Failing()
    asking = sampler(tmp_path)
    found = asking.ask("teacher", Asker(lambda: whole, "t"), PROMPTS, samples=1, paradigm="distill")
    assert whole.asked == list(WORDS[5:])
    assert [group[0].answer.text for group in found] == [word.upper() for word in WORDS]
    assert (asking.meters["distill"].answers, asking.meters["distill"].errors) == (8, 0)


@pytest.mark.parametrize(
    ("lost", "samples", "stops"), [(WORDS[:2], 1, False), (WORDS[:3], 1, True), (WORDS[:1], 8, True)]
)
def test_few_errors_go_on(tmp_path: Path, lost: Sequence[str], samples: int, stops: bool) -> None:
    asking, dying = sampler(tmp_path), Asker(lambda: Failing(lost), "t")
    if stops:
        with pytest.raises(CompletionError):
            asking.ask("teacher", dying, PROMPTS, samples=samples, paradigm="distill")
        return
    asking.ask("teacher", dying, PROMPTS, samples=samples, paradigm="distill")
    assert asking.meters["distill"].errors == len(lost) * samples


def test_three_errors_of_many_are_few(tmp_path: Path) -> None:
    asking = sampler(tmp_path)
    asking.ask(
        "teacher",
        asker({"teacher": [*[broken("busy")] * 3, *["ANT"] * 57]}),
        PROMPTS[:1],
        samples=60,
        paradigm="distill",
    )
    assert asking.meters["distill"].errors == 3, "5 % and no more"


@pytest.mark.parametrize("batch", [0, 4])
def test_what_is_refused_for_good_stops_no_run(tmp_path: Path, batch: int) -> None:
    """As a local engine's prompt that is longer than the model reads, or an endpoint's content filter."""
    refusing = Failing(lost=WORDS[1:], error=broken("the prompt is too long", transient=False), batch=batch)
    asking = sampler(tmp_path)
    found = asking.ask("attempts", Asker(lambda: refusing, "s"), PROMPTS, samples=1, paradigm="self")
    assert [group[0].verdict.passed for group in found] == [True, *[False] * 7]
    meter = asking.meters["self"]
    assert (meter.answers, meter.passed, meter.errors) == (1, 1, 7)


def test_tokens_that_an_endpoint_does_not_tell_are_unknown_and_an_error_has_none(tmp_path: Path) -> None:
    silent = answered("ant").model_copy(update={"completion_tokens": None})
    asking = sampler(tmp_path)
    rows, _, _ = distill(
        [shout("ant"), shout("bee")],
        asking,
        teacher=asker({"ant/teacher": [silent, answered("ANT")], "bee/teacher": [broken("busy"), answered("BEE")]}),
        contexts={},
        samples=2,
    )
    costs = {row.target.text: row.lineage.cost for row in rows}
    assert (costs["ANT"].prompt_tokens, costs["ANT"].completion_tokens) == (20, None)
    assert (costs["BEE"].prompt_tokens, costs["BEE"].completion_tokens) == (10, 5)
    assert asking.meters["distill"].tokens is None
    (cell,) = asking.cells.values()
    assert cell.tokens is None


class Mendable(Shout):
    """Whatever was said, the word in capitals can be put in its place."""

    def mend(self, item: Item, text: str) -> str | None:
        return str(item.reference) if text else None

    def plain(self, item: Item) -> None:
        return None


def test_an_answer_that_counts_only_once_it_was_mended_is_one_attempt(tmp_path: Path) -> None:
    asking = sampler(tmp_path, Mendable())
    taught = lesson([shout("ant")], asking, {"attempts": ["?", "?"], "revisions": ["?"]})
    assert kept_text(taught.rows) == ["ANT"]
    (cell,) = asking.cells.values()
    assert (cell.attempted, cell.accepted) == (1, 1), "a plan refuses more accepted than attempted"


def test_tables_of_earlier_versions_are_read_and_those_without_errors_look_as_before() -> None:
    line = '{"paradigm":"self","attempted":4,"accepted":1,"tokens":9}'
    found = TradeOff.from_json(line)
    assert (found.errors, found.unjudged) == (0, 0)
    assert found.to_json() == line


def test_a_row_of_the_fallback_costs_all_that_was_sampled_for_its_item(tmp_path: Path) -> None:
    taught = lesson(
        [shout("ant"), shout("bee")],
        sampler(tmp_path),
        {
            "attempts": [answered("no", tokens=1), answered("no", tokens=2)],
            "revisions": [answered("no", tokens=4)],
        },
        taught_by={
            "ant/fallback": [answered("no", tokens=8), answered("ANT", tokens=16)],
            "bee/fallback": ["no", "no"],
        },
    )
    assert kept_text(taught.rows) == ["ANT"]
    cost = taught.rows[0].lineage.cost
    assert (cost.prompt_tokens, cost.completion_tokens) == (50, 31)
