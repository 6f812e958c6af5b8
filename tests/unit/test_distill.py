"""Distillation with scripted answers: which is kept, what becomes a preference, what a row knows of its making."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.classroom import CUT, Script, answered, asker, kept_text, sampler, shout
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.distill import distill
from tutelage.construct.sampling import Asker
from tutelage.records import Answer, Engine, Request, Sampling, assistant, content_id, user


def test_the_first_passing_answer_that_ended_is_kept(tmp_path: Path) -> None:
    answers: Script = {
        "ant/teacher": ["ant", answered("ANT cut", CUT), " ANT first \n", "ANT second"],
        "bee/teacher": ["bee", "bees", "?", answered("BEE", CUT)],
    }
    rows, pairs, asked = distill(
        [shout("ant"), shout("bee")], sampler(tmp_path), teacher=asker(answers, "teacher"), contexts={}, samples=4
    )
    assert kept_text(rows) == ["ANT first"]
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs] == [("ANT first", "ant")]
    assert [len(group) for group in asked.values()] == [4, 4]


@pytest.mark.parametrize(("most", "kept"), [(1, ["ANT a"]), (2, ["ANT a", "ANT b"]), (9, ["ANT a", "ANT b", "ANT c"])])
def test_different_passing_answers_are_kept_up_to_the_limit(tmp_path: Path, most: int, kept: list[str]) -> None:
    answers: Script = {"ant/teacher": ["ANT a", "ANT a ", "ANT b", "ant", "ANT c"]}
    rows, pairs, _ = distill(
        [shout("ant")], sampler(tmp_path, keep_per_prompt=most), teacher=asker(answers), contexts={}, samples=5
    )
    assert kept_text(rows) == kept
    assert [(pair.chosen.text, pair.rejected.text) for pair in pairs] == [("ANT a", "ant")]
    assert len({row.id for row in rows}) == len(rows)


def test_the_answer_that_repeats_itself_least_is_kept(tmp_path: Path) -> None:
    round_and_round = "ANT " + "goes on and on again " * 6
    answers: Script = {"ant/teacher": [round_and_round, "ANT says it once and is done with it", "ANT later"]}
    rows, _, _ = distill([shout("ant")], sampler(tmp_path), teacher=asker(answers), contexts={}, samples=3)
    assert kept_text(rows) == ["ANT says it once and is done with it"]
    rows, _, _ = distill(
        [shout("ant")], sampler(tmp_path, keep_per_prompt=3), teacher=asker(answers), contexts={}, samples=3
    )
    assert kept_text(rows)[-1] == round_and_round.strip(), "it is the last choice, not a fault"


def test_what_was_cut_or_never_judged_is_nobodys_rejected_answer(tmp_path: Path) -> None:
    failed = Answer(request_id="", text="", finish="error", error="no connection")
    answers: Script = {"ant/teacher": [answered("ant", CUT), "?", failed, "ANT"]}
    rows, pairs, _ = distill([shout("ant")], sampler(tmp_path), teacher=asker(answers), contexts={}, samples=4)
    assert kept_text(rows) == ["ANT"]
    assert pairs == []


def test_the_teachers_prompt_is_in_the_request_and_not_in_the_row(tmp_path: Path) -> None:
    context = (user("Shout fox."), assistant("FOX"))
    seen: list[Request] = []

    def reply(request: Request) -> Answer:
        seen.append(request)
        return answered("ANT", tokens=3) if request.id.endswith("/1") else answered("ant", tokens=4)

    rows, _, _ = distill(
        [shout("ant")],
        sampler(tmp_path, temperature=0.5, top_p=0.9, max_tokens=33),
        teacher=Asker(lambda: ScriptedCompleter(reply), "the teacher"),
        contexts={"id-ant": context},
        samples=3,
    )
    assert [request.messages for request in seen] == [(*context, user("Shout ant."))] * 3
    assert {request.sampling for request in seen} == {Sampling(temperature=0.5, top_p=0.9, max_tokens=33)}
    assert len({request.seed for request in seen}) == 3, "equal seeds would give equal samples"
    (row,) = rows
    assert row.messages == (user("Shout ant."), assistant("ANT"))
    assert row.lineage.paradigm == "distill"
    assert row.lineage.source == "context_distillation"
    assert row.lineage.author == "the teacher"
    assert row.lineage.parents == ("id-ant", "id-ant/teacher/1")
    assert row.lineage.prompt == content_id([message.to_json() for message in context])
    assert row.lineage.round == 2
    assert row.lineage.verdicts[-1].passed
    assert row.lineage.cost.prompt_tokens == 30
    assert row.lineage.cost.completion_tokens == 11, "the attempts that were thrown away are paid, too"
    assert (row.task, row.dimension, row.level, row.group) == ("shout", "instruction_following", "basic", "ant")


def test_an_answer_that_copies_a_demonstration_is_not_kept(tmp_path: Path) -> None:
    shown = "FOX the quick brown fox jumps over the lazy dog"
    answers: Script = {"ant/teacher": ["ANT the quick, brown fox jumps over the lazy dog!", "ANT the quick brown fox"]}
    rows, _, asked = distill(
        [shout("ant")],
        sampler(tmp_path),
        teacher=asker(answers),
        contexts={"id-ant": (user("Shout fox."), assistant(shown))},
        samples=2,
    )
    assert kept_text(rows) == ["ANT the quick brown fox"]
    assert len(asked["id-ant"]) == 2


def test_without_a_prompt_it_is_plain_distillation(tmp_path: Path) -> None:
    rows, _, _ = distill(
        [shout("ant")], sampler(tmp_path), teacher=asker({"ant/teacher": ["ANT"]}), contexts={}, samples=1
    )
    assert rows[0].lineage.source == "distillation"


def test_items_under_the_same_prompt_are_asked_together_and_those_with_their_own_apart(tmp_path: Path) -> None:
    common, own, other = ((user(f"Shout {word}."), assistant(word.upper())) for word in ("fox", "gnu", "hen"))
    items = [shout(word) for word in ("ant", "bee", "cat", "dog")]
    calls: list[list[str]] = []

    class Batches(ScriptedCompleter):
        """An engine that decodes batches: an endpoint is asked everything at once."""

        @property
        def engine(self) -> Engine:
            return Engine(model="batches", engine="scripted", batch_size=4)

        def complete(self, requests: Sequence[Request]) -> Iterator[Answer]:
            calls.append([request.id for request in requests])
            return super().complete(requests)

    def reply(request: Request) -> str:
        return request.messages[-1].text.removeprefix("Shout ").removesuffix(".").upper()

    rows, _, asked = distill(
        items,
        sampler(tmp_path),
        teacher=Asker(lambda: Batches(reply), "teacher"),
        contexts={"id-ant": own, "id-bee": common, "id-cat": other, "id-dog": common},
        samples=1,
    )
    assert calls == [["id-ant/teacher/0", "id-cat/teacher/0"], ["id-bee/teacher/0", "id-dog/teacher/0"]]
    assert list(asked) == [item.id for item in items]
    assert kept_text(rows) == ["ANT", "BEE", "CAT", "DOG"]
