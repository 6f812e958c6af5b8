"""Held-out losses, limits and estimated levels on the page and the card of runs on a user's rows."""

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from support import report_run as made
from tutelage.evaluate.compare import compare
from tutelage.evaluate.imitation import compare_losses
from tutelage.evaluate.summary import summarize
from tutelage.files import write_atomic
from tutelage.records import LEVELS, Item
from tutelage.records.heldout import HeldOutLoss, RowLoss
from tutelage.records.jsonl import write_records
from tutelage.records.outcome import RunOutcome
from tutelage.records.scores import CellState, GateScores, ItemScore, ScoreSummary
from tutelage.reflect.gate import decide
from tutelage.reflect.matrix import build_matrix
from tutelage.reflect.plan import allocate
from tutelage.report import write_card, write_report
from tutelage.report.headline import caveats, headline
from tutelage.report.losses import loss_change, loss_judgment, loss_rows, loss_tone
from tutelage.report.numbers import confidence
from tutelage.report.reading import read_run
from tutelage.runs import Best, RunDirectory
from tutelage.statistics import Difference

LOSSES = {"start": 2.1, "few-shot": 2.0, "round 1": 1.7}
LIMITS = ("120 rows in 60 groups: 60 train, 10 probe, 20 gate, 30 test.", "On test no answer can be scored.")


def row_losses(asked: list[Item], label: str, *, checked: bool) -> list[RowLoss]:
    """Losses a row around the label's own mean, harder for some rows than for others."""
    common, own = random.Random(5), random.Random(label)
    return [
        RowLoss(
            item_id=item.id,
            dimension=item.dimension,
            level=item.level,
            group=item.group,
            checked=checked,
            nll=LOSSES[label] + common.uniform(-0.4, 0.4) + own.uniform(-0.1, 0.1),
            tokens=20,
        )
        for item in asked
    ]


def _held_out(asked: list[Item], pair: tuple[str, str], *, checked: bool) -> HeldOutLoss:
    sides = [row_losses(asked, label, checked=checked) for label in pair]
    found = compare_losses(*sides, labels=pair, split=asked[0].split, seed=1)
    assert found
    return found


def make_rows_run(path: Path, *, checked: bool) -> RunDirectory:
    """Make a run of one round on a user's rows: without checks, or with checks and estimated levels."""
    task = {"kind": "rows", "path": "wards.jsonl", "name": "wards", "dimension": "ward_notes"}
    RunDirectory.create(path, made.recipe(tasks=[task], controls={"few_shot": True})).close()
    run = RunDirectory.open(path)
    spec: dict[str, object] = {"level_estimated": True} if checked else {}
    moved = {"task": "wards", "dimension": "ward_notes", "facet": "", "transfer": False, "spec": spec}
    asked = {
        split: [item.model_copy(update=moved) for item in made.items(split, 12) if item.dimension == "faithfulness"]
        for split in ("train", "probe", "gate", "test")
    }
    with run.stage("rounds/1/plan") as folder:
        states = [CellState(dimension="ward_notes", level=level, value=0.3) for level in LEVELS]
        made.write_json(folder / "plan.json", allocate(states, 60, floor=6))
    with run.stage("rounds/1/construct") as folder:
        write_records(folder / "lessons.jsonl", [made._lesson(item, n, 1) for n, item in enumerate(asked["train"])])
    with run.stage("rounds/1/evaluate") as folder:
        made._diagnosis(folder, *made.measured(folder, asked["probe"], "round 1", round=1, rate=made.RATES["round 1"]))
    sides = [
        GateScores(
            engine=made.engine(label),
            items=tuple(made.scores(asked["gate"], made.RATES[label], seed=n)) if checked else (),
            losses=tuple(row_losses(asked["gate"], label, checked=checked)),
        )
        for n, label in enumerate(("start", "round 1"))
    ]
    with run.stage("rounds/1/gate") as folder:
        made.write_json(folder / "verdict.json", decide(*sides, rule=made.RULE, seed=1))
    found: dict[str, tuple[list[ItemScore], ScoreSummary]] = {}
    for label in LOSSES:
        with run.stage(f"final/{label.replace(' ', '-')}") as folder:
            one, summary = made.measured(
                folder, asked["test"], label, round=int(label == "round 1"), rate=made.RATES[label]
            )
            if not checked:
                nothing = {"score": None, "audit": None, "counted": None, "reason": "This row has no check."}
                one = [score.model_copy(update=nothing) for score in one]
                summary = summarize(one, split="test", round=summary.round, label=label, engine=summary.engine)
                write_records(folder / "scores.jsonl", one)
                made.write_json(folder / "summary.json", summary)
            found[label] = one, summary
    start, last = found["start"][1], found["round 1"][1]
    made.write_json(
        path / "matrix.json", build_matrix([start.placed(role="promoted"), last, last.placed(role="promoted")])
    )
    run.promote(Best(round=1, weights="rounds/1/tune/weights"))
    others = [label for label in LOSSES if label != "round 1"]
    outcome = RunOutcome(
        name="ward-7",
        promoted_round=1,
        verdicts=("promoted",),
        scores={label: summary for label, (_, summary) in found.items()},
        comparisons=tuple(
            compare(found[label][0], found["round 1"][0], labels=(label, "round 1"), split="test", seed=5)
            for label in others
        ),
        losses=tuple(_held_out(asked["test"], (label, "round 1"), checked=checked) for label in others),
        limits=tuple(f"wards: {said}" for said in LIMITS),
        estimated_levels=("wards",) if checked else (),
        words="Round 1 was promoted.",
    )
    made.write_json(path / "outcome.json", outcome)
    run.finish(outcome=outcome.words, seconds=380.4)
    return run


def shown(html: str) -> str:
    """The words of a page, without tags and style."""
    body = html[html.index("<body>") :]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_rows_run(tmp_path_factory.mktemp("unchecked") / "run", checked=False)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return make_rows_run(tmp_path_factory.mktemp("checked") / "run", checked=True)


def loss(estimate: float | None, low: float, high: float, **more: object) -> HeldOutLoss:
    """A comparison whose log-likelihood rose by ``estimate``."""
    rise = replace(Difference(estimate, low, high, n=40, clusters=20), **more)
    return HeldOutLoss(before="start", after="round 1", split="test", checked=False, rise=rise, words="")


def test_a_rise_of_likelihood_is_a_fall_of_loss() -> None:
    found = loss(0.3, 0.1, 0.45, before=-2.0, after=-1.7, below_zero=0.01, confidence=0.975)
    change = loss_change(found)
    assert (change.estimate, change.low, change.high) == (-0.3, -0.45, -0.1)
    assert (change.before, change.after) == (2.0, 1.7)
    assert change.n == 40
    row = loss_rows([found])[0]
    assert (row.before_label, row.after_label, row.rows, row.groups) == ("the start", "round 1", 40, 20)
    assert (row.before, row.after, row.change, row.low, row.high) == ("2.000", "1.700", "−0.300", "−0.450", "−0.100")
    assert (row.confidence, row.judgment, row.tone, row.reason) == ("97.5 %", "lower loss than", "good", "")


@pytest.mark.parametrize(
    ("rise", "words", "tone"),
    [
        ((0.2, 0.1, 0.3), "lower loss than", "good"),
        ((-0.2, -0.3, -0.1), "higher loss than", "bad"),
        ((0.1, -0.1, 0.3), "not told apart from", ""),
        ((0.1, 0.0, 0.2), "not told apart from", ""),
        ((None, -25.0, 25.0), "not compared with", ""),
    ],
)
def test_the_interval_decides_what_is_said_of_a_loss(
    rise: tuple[float | None, float, float], words: str, tone: str
) -> None:
    change = loss_change(loss(*rise))
    assert (loss_judgment(change), loss_tone(change)) == (words, tone)


def test_an_unread_loss_is_unknown_and_never_a_zero() -> None:
    row = loss_rows([loss(None, -25.0, 25.0, n=0, clusters=0)])[0]
    assert (row.before, row.after, row.change, row.low, row.high) == ("unknown", "unknown", "unknown", "", "")
    assert row.reason == "no row could be read by both"


def test_levels_of_confidence_keep_their_digits() -> None:
    assert [confidence(value) for value in (0.95, 0.975, 1 - 0.1 / 3)] == ["95 %", "97.5 %", "96.67 %"]


def test_without_any_score_the_loss_leads(unchecked: RunDirectory) -> None:
    data = read_run(unchecked)
    assert data.outcome
    change = loss_change(data.outcome.losses[0])
    assert change.before is not None
    assert change.after is not None
    assert change.estimate is not None
    page = shown(write_report(unchecked).read_text(encoding="utf-8"))
    head = page[: page.index("Scores on test")]
    assert f"{change.before:.3f} → {change.after:.3f}" in head
    assert f"−{-change.estimate:.3f} , 95 % interval −{-change.low:.3f} to −{-change.high:.3f}" in head
    assert "No test item has a score." in head
    assert "It does not prove that the answers which it writes itself are right" in head
    assert "lower loss than the start" in head
    assert "lower loss than the few-shot prompt" in head
    assert "better than" not in head
    assert "mean over cells" not in head.lower()
    assert headline(data).macro is not None, "it is there, without an estimate"
    assert "Before and after tuning" not in page


def test_with_a_score_the_score_leads_and_the_loss_stands_below(checked: RunDirectory) -> None:
    found = headline(read_run(checked))
    assert found.loss is None
    assert not any("loss" in words for words in found.words)
    page = shown(write_report(checked).read_text(encoding="utf-8"))
    head, rest = page[: page.index("Scores on test")], page[page.index("Scores on test") :]
    assert "mean over cells on test" in head
    assert "Loss of held-out references" in rest
    assert "their score decides, and the loss only stands beside it" in rest


def test_the_table_of_losses_has_every_rival(unchecked: RunDirectory) -> None:
    html = write_report(unchecked).read_text(encoding="utf-8")
    data = read_run(unchecked)
    assert data.outcome
    table = re.search(r'held-out">\s*<caption>Loss of held-out references on test.*?</table>', html, flags=re.DOTALL)
    assert table
    lines = [shown(f"<body>{line}") for line in re.findall(r"<tr>.*?</tr>", table.group())[1:]]
    assert len(lines) == len(data.outcome.losses) == 2
    for line, row in zip(lines, loss_rows(data.outcome.losses), strict=True):
        assert line == (
            f"{row.before_label.capitalize()} → round 1 {row.rows} {row.groups} {row.before} {row.after} {row.change} "
            f"[{row.low}, {row.high}]"
        )
    assert "What it does not prove." in html


def test_the_gate_shows_its_loss_and_whether_it_decided(unchecked: RunDirectory, checked: RunDirectory) -> None:
    pages = [shown(write_report(run).read_text(encoding="utf-8")) for run in (unchecked, checked)]
    verdict = read_run(unchecked).verdicts[1]
    assert verdict.loss
    change = loss_change(verdict.loss)
    for page, run in zip(pages, (unchecked, checked), strict=True):
        gate = page[page.index("Gates A candidate") :]
        assert "Loss of the references at the gate of round 1" in gate
        assert ("This loss decided." in gate) == (run is unchecked)
        assert ("this loss only stands beside them" in gate) == (run is checked)
    assert f"{change.before:.3f} {change.after:.3f} −{-(change.estimate or 0):.3f}" in pages[0]
    assert "95 % interval" in pages[0]


def test_the_limits_stand_with_what_is_not_proved(unchecked: RunDirectory, checked: RunDirectory) -> None:
    limits = dict(caveats(read_run(unchecked)))
    assert limits["What the rows of “wards” can and cannot prove"] == " ".join(LIMITS)
    assert "A lower loss is imitation" in limits
    assert "No answer was judged" in limits
    assert "nats a token" in limits["The numbers are small"]
    assert "Levels are estimated" not in limits
    assert "Those of wards rest on" in dict(caveats(read_run(checked)))["Levels are estimated"]
    page = shown(write_report(unchecked).read_text(encoding="utf-8"))
    section = page[page.index("What these figures do not prove") :]
    assert all(limit in section for limit in LIMITS)


def test_estimated_levels_are_marked_wherever_a_level_is_shown(checked: RunDirectory, unchecked: RunDirectory) -> None:
    html = write_report(checked).read_text(encoding="utf-8")
    for level in LEVELS:
        assert f'<th scope="row">{level.capitalize()} <span class="sub muted">estimated</span></th>' in html
        assert f'title="Ward notes, {level} (estimated), Round 1: ' in html
        assert f'<th scope="row">Ward notes, {level} (estimated)</th>' in html
    words = shown(html)
    assert re.search(r"Lessons .* Round 1, \w+ \(estimated\): ", words)
    assert re.search(r"Changed answers on test .* (Fail → pass|Pass → fail): \w+ \(estimated\)", words)
    assert "(estimated)" not in write_report(unchecked).read_text(encoding="utf-8")


def test_an_unfinished_run_knows_estimated_levels_by_its_items(tmp_path: Path) -> None:
    run = make_rows_run(tmp_path / "run", checked=True)
    (run.path / "outcome.json").unlink()
    page = write_report(RunDirectory.open(run.path)).read_text(encoding="utf-8")
    assert "Ward notes, basic (estimated)" in page
    assert "Levels are estimated" in page


def test_a_loss_that_no_row_gave_does_not_lead(unchecked: RunDirectory, tmp_path: Path) -> None:
    run = make_rows_run(tmp_path / "run", checked=False)
    outcome = RunOutcome.from_json((run.path / "outcome.json").read_bytes())
    none = loss(None, -25.0, 25.0, n=0, clusters=0)
    changed = outcome.model_copy(update={"losses": (none,)})
    write_atomic(run.path / "outcome.json", changed.model_dump_json())
    page = shown(write_report(run).read_text(encoding="utf-8"))
    assert "could not be compared with the start" in page
    assert "not compared: no row could be read by both" in page


def test_the_card_has_losses_and_limits(unchecked: RunDirectory) -> None:
    data = read_run(unchecked)
    assert data.outcome
    card = write_card(unchecked).read_text(encoding="utf-8")
    row = loss_rows(data.outcome.losses)[0]
    values = f"{row.rows} | {row.before} | {row.after} | {row.change} | 95 %: {row.low} to {row.high}"
    assert f"| the start → round 1 | {values} |" in card
    assert all(limit in card for limit in LIMITS)
    assert "## Scores on test" not in card
