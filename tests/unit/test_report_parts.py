"""Numbers, figures, heat maps, headline and text of the report, against values worked out by hand."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage.recipe.methods import (
    DoraMethod,
    FullMethod,
    Ia3Method,
    LastMethod,
    LoraMethod,
    Method,
    QloraMethod,
)
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import TuneSection
from tutelage.records.scores import CellScore, ControlScores, MacroScore, Matrix
from tutelage.records.tradeoff import TradeOff
from tutelage.report import numbers
from tutelage.report.artifact import tuning
from tutelage.report.figures import Interval, interval_plot, loss_curve
from tutelage.report.headline import engine_words, judgment
from tutelage.report.matrices import heat_maps, shade
from tutelage.report.names import facet, guard, rival, title
from tutelage.report.redact import MAX_SHOWN, redacted, visible
from tutelage.report.tables import TRADEOFF_COLUMNS, tradeoff_rows
from tutelage.statistics import Difference


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (LoraMethod(kind="lora", r=4, alpha=8), "LoRA of rank 4, alpha 8, AdamW"),
        (LoraMethod(kind="lora", r=4, alpha=8, rslora=True), "LoRA of rank 4, alpha 8, scaled by alpha over the root"),
        (
            LoraMethod(kind="lora", r=4, alpha=8, init="pissa"),
            "LoRA begun at PiSSA of rank 4, alpha 8, saved as rank 8",
        ),
        (
            LoraMethod(kind="lora", r=4, alpha=8, init="olora"),
            "LoRA begun at OLoRA of rank 4, alpha 8, saved as rank 8",
        ),
        (DoraMethod(kind="dora", r=4, alpha=8), "DoRA of rank 4, alpha 8"),
        (QloraMethod(kind="qlora", r=4, alpha=8), "QLoRA (base in 4 bits) of rank 4, alpha 8"),
        (Ia3Method(kind="ia3"), "IA³ (one factor a channel)"),
        (LastMethod(kind="last", layers=2), "the last 2 layers and the norm behind them"),
        (LastMethod(kind="last", layers=1, norm=False, head=True), "the last 1 layer and the output layer"),
        (PrefixMethod(kind="prefix", tokens=5), "prefix tuning of 5 virtual tokens, AdamW"),
        (PrefixMethod(kind="prefix", tokens=5, projection=9), "5 virtual tokens, made by a projection of width 9"),
        (PromptMethod(kind="prompt", tokens=1), "prompt tuning of 1 virtual token"),
        (FullMethod(kind="full"), "all weights"),
    ],
)
def test_a_card_names_the_method_and_its_size(method: Method, expected: str) -> None:
    told = tuning(TuneSection(method=method), seed=1, rows=4, steps=None)
    assert expected.lower() in told.lower()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.rate(0.41666), "0.417"),
        (numbers.rate(None), "unknown"),
        (numbers.signed(0.2044), "+0.204"),
        (numbers.signed(-0.05), "−0.050"),
        (numbers.signed(-0.0001), "0.000"),
        (numbers.span(-0.1, 0.25, is_difference=True), "−0.100 to +0.250"),
        (numbers.count(12480), "12,480"),
        (numbers.count(None), "unknown"),
        (numbers.share(0.94), "94 %"),
        (numbers.share(0.0421), "4.2 %"),
        (numbers.share(0.0), "0 %"),
        (numbers.share(0.0999), "10 %"),
        (numbers.probability(0.0001), "< 0.001"),
        (numbers.probability(0.25), "0.250"),
        (numbers.duration(3.21), "3.2 s"),
        (numbers.duration(59.7), "1 min 0 s"),
        (numbers.duration(260), "4 min 20 s"),
        (numbers.duration(3599.9), "1 h 0 min"),
        (numbers.duration(7500), "2 h 5 min"),
        (numbers.duration(None), "unknown"),
        (numbers.guard_value(20.49, "perplexity"), "20.5"),
        (numbers.guard_value(0.1444, "safety/harmful"), "0.144"),
        (numbers.plural(1, "item"), "1 item"),
        (numbers.plural(1200, "item"), "1,200 items"),
        (title("instruction_following"), "Instruction following"),
        (facet("safety/harmful"), "Harmful requests refused"),
        (facet("my_notes/short_ones"), "Short ones"),
        (guard("safety/harmless"), "Harmless requests answered"),
        (guard("faithfulness"), "Faithfulness"),
        (rival("placebo"), "the placebo"),
        (rival("round 2"), "round 2"),
        (engine_words("transformers", ""), "transformers"),
    ],
)
def test_numbers_and_names_read_well(written: str, expected: str) -> None:
    assert written == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.2, "better than"),
        (-0.2, -0.01, "worse than"),
        (-0.1, 0.1, "not told apart from"),
        (0, 0.1, "not told apart from"),
    ],
)
def test_an_interval_decides_the_word(low: float, high: float, expected: str) -> None:
    assert judgment(Difference((low + high) / 2, low, high)) == expected
    assert judgment(Difference(None, -1, 1)) == "not compared with"


@given(st.text(st.characters(exclude_categories=())))
def test_visible_text_has_no_control_and_stays_bounded(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)
    assert len(shown) <= 8 * MAX_SHOWN
    assert shown.encode().decode() == shown


def test_a_long_text_says_what_it_leaves_out() -> None:
    shown = visible("a" * 5000 + "the end")
    assert f"{5007 - MAX_SHOWN:,} characters left out" in shown
    assert shown.endswith("the end")
    assert visible("short\r\ntext\x00") == "short\ntext␀"


def test_redacted_text_is_its_length() -> None:
    assert redacted("the pin is 4711") == "[redacted: 15 characters, 4 words]"
    assert redacted("x") == "[redacted: 1 character, 1 word]"
    assert redacted("") == ""


def test_an_interval_plot_puts_zero_and_ends_where_they_belong() -> None:
    rows = [
        Interval("a <b>", 0.2, 0.1, 0.3),
        Interval("none", None, -1, 1, note="no pair"),
        Interval("c", -0.1, -0.2, 0.0),
    ]
    figure = ElementTree.fromstring(interval_plot(rows, name="x", title="T & U"))
    ticks = {t.text: line for t, line in zip(_of(figure, "tick"), _of(figure, "grid", "zero"), strict=True)}
    zero = float(ticks["0"].attrib["x1"].rstrip("%"))
    unit = float(ticks["+0.2"].attrib["x1"].rstrip("%")) - zero
    circles = [float(c.attrib["cx"].rstrip("%")) for c in figure.iter("circle")]
    assert circles == pytest.approx([zero + unit, zero - unit / 2], abs=0.02)
    whisker = figure.find("g/line")
    assert whisker is not None
    ends = [float(whisker.attrib[end].rstrip("%")) for end in ("x1", "x2")]
    assert ends == pytest.approx([zero + unit / 2, zero + 1.5 * unit], abs=0.02)
    description = figure.findtext("desc")
    assert (
        description
        == "a <b>: +0.200, 95 % interval +0.100 to +0.300; none: no pair; c: −0.100, 95 % interval −0.200 to 0.000."
    )
    assert figure.findtext("title") == "T & U"


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1)), max_size=6))
def test_every_interval_stays_inside_its_plot(drawn: list[tuple[float, float, float]]) -> None:
    rows = [Interval("x", middle, max(-1, middle - down), min(1, middle + up)) for middle, down, up in drawn]
    figure = ElementTree.fromstring(interval_plot(rows, name="x", title="t"))
    for element in figure.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.attrib.get(name, "0").rstrip("%")) <= 100
    assert len(_of(figure, "tick")) <= 9


def test_a_loss_curve_keeps_its_ends_and_breaks_where_a_loss_is_missing() -> None:
    points = [(1, 2.0), (2, 1.0), (3, None), (4, 1.5), (5, 0.0)]
    figure = ElementTree.fromstring(loss_curve(points, name="l", title="Loss", bounds=(0.0, 2.0)))
    lines = [line.attrib["points"].split() for line in figure.iter("polyline")]
    assert lines == [["0.0,0.00", "250.0,50.00"], ["750.0,25.00", "1000.0,100.00"]]
    assert figure.findtext("desc") == "From 2.000 at step 1 to 0.000 at step 5; lowest 0.000."


def test_a_long_curve_is_thinned_to_means() -> None:
    points = [(step, float(step % 2)) for step in range(1, 2001)]
    figure = ElementTree.fromstring(loss_curve(points, name="l", title="Loss", bounds=(0.0, 1.0)))
    line = next(figure.iter("polyline")).attrib["points"].split()
    assert len(line) == 400
    assert {point.partition(",")[2] for point in line} == {"40.00", "60.00"}, "means of five of 0, 1, 0, 1, 0"


def test_a_curve_of_one_step_or_no_finite_loss_can_be_drawn() -> None:
    assert "step 1" in loss_curve([(1, 0.5)], name="l", title="x", bounds=(0.5, 0.5))
    assert "No finite loss." in loss_curve([(1, None)], name="l", title="x", bounds=(0.0, 1.0))


def _of(figure: ElementTree.Element, *classes: str) -> list[ElementTree.Element]:
    return [element for element in figure.iter() if element.attrib.get("class") in classes]


def test_shades_run_from_zero_to_ten() -> None:
    assert [shade(value) for value in (None, 0.0, 0.04, 0.06, 0.55, 0.96, 1.0)] == [None, 0, 0, 1, 6, 10, 10]


def test_an_unscored_cell_is_neither_colored_nor_a_zero() -> None:
    place = {"dimension": "safety", "level": "basic", "round": 0, "role": "promoted", "split": "test"}
    cell = CellScore.model_validate({"value": None, "unscored": 4, "reason": "no scored harmless item", **place})
    macro = MacroScore(value=None, round=0, role="promoted", cells=0)
    maps = heat_maps(Matrix(split="test", cells=(cell,), macros=(macro,)), {})
    found = maps[1].rows[0][1][0]
    assert found
    assert (found.value, found.shade, found.interval) == ("unscored", None, "")
    assert found.note == "Safety, basic, Start: unscored, 4 unscored (no scored harmless item)"


def test_the_teacher_is_the_last_column() -> None:
    def cell(value: float, role: str, level: str = "basic") -> CellScore:
        place = {"dimension": "utility", "level": level, "round": 0, "role": role, "split": "test"}
        return CellScore.model_validate({"value": value, "low": 0.0, "high": 1.0, "n": 8, **place})

    start, advanced = cell(0.25, "promoted"), cell(0.125, "promoted", "advanced")
    macro = MacroScore(value=0.1875, n=16, round=0, role="promoted", cells=2)
    mean = MacroScore(value=0.75, n=8, round=0, role="candidate", cells=1)
    others = ControlScores(name="placebo", cells=(cell(0.5, "candidate"),), macro=mean)
    teacher = ControlScores(name="teacher", cells=(cell(0.75, "candidate"),), macro=mean)
    alone = Matrix(split="test", cells=(start, advanced), macros=(macro,), controls=(others,))
    assert [column.heading for column in heat_maps(alone, {})[0].columns] == ["Start"]
    maps = heat_maps(alone.model_copy(update={"controls": (others, teacher)}), {})
    assert [(column.heading, column.verdict) for column in maps[1].columns][1:] == [("Teacher", "control")]
    values = [[field and (field.value, field.kept) for field in row] for found in maps for _, row in found.rows]
    assert values == [[("0.188", ""), ("0.750", "")], [("0.250", ""), ("0.750", "")], [("0.125", ""), None]]


def test_the_trade_off_has_a_value_for_every_column() -> None:
    rows = tradeoff_rows(
        [TradeOff(paradigm="self", attempted=200, passed=50, accepted=50, tokens=10_000, seconds=100.0, diversity=0.5)]
    )
    assert [row.used for row in rows] == [False, False, True, False]
    assert len(rows[2].values) == len(TRADEOFF_COLUMNS)
    assert rows[2].values == ("200", "50", "25 %", "0.500", "10,000", "1 min 40 s", "1,800", "200", "2.00", "unknown")
    lossy = TradeOff(paradigm="self", attempted=200, passed=50, accepted=50, errors=12, unjudged=1)
    assert tradeoff_rows([lossy])[2].values[:5] == (
        "200 (12 never came, 1 not judged)",
        "50",
        "25 %",
        "unknown",
        "unknown",
    )
    lost = TradeOff(paradigm="self", attempted=0, passed=0, accepted=0, errors=2)
    assert tradeoff_rows([lost])[2].values[:3] == ("0 (2 never came)", "0", "none judged")
    empty = tradeoff_rows([TradeOff(paradigm="self", attempted=0, passed=0, accepted=0)])[2]
    assert empty.values[2:4] == ("none asked", "no row")
