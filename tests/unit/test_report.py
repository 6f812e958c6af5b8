"""The page of a run: what it says, what it must never do, and that it is well made."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from support import report_run as made
from tutelage.errors import DataError
from tutelage.files import write_atomic
from tutelage.recipe.curate import ContaminationStep
from tutelage.records.outcome import RunOutcome
from tutelage.report import write_card, write_report
from tutelage.report.contamination import contamination
from tutelage.report.headline import caveats
from tutelage.report.reading import read_run
from tutelage.runs import RunDirectory
from tutelage.statistics import wilson

VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """A strict reader: every element closed in order; gathers what the tests ask about."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    def all(self, *names: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return made.make_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="module")
def html(run: RunDirectory) -> str:
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_verdict_comes_first_with_its_interval(run: RunDirectory, page: Page) -> None:
    outcome = RunOutcome.from_json((run.path / "outcome.json").read_bytes())
    macro = next(found for found in outcome.comparisons if found.before == "start").macro
    head = page.words[: page.words.index("Scores on test")]
    assert "Round 1 was promoted" in head
    assert f"{macro.before:.3f} → {macro.after:.3f}" in head
    assert f"95 % interval +{macro.low:.3f} to +{macro.high:.3f}" in head
    assert "better than the start" in head
    for rival in ("the few-shot prompt", "the expert rows", "the placebo", "round 2"):
        assert f"than {rival}" in head or f"from {rival}" in head


def test_nothing_is_loaded_and_nothing_can_run(page: Page, html: str) -> None:
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "img", "form", "base", "foreignobject"}
    assert page.all("link") == [{"rel": "icon", "href": "data:,"}]
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert attributes.get("href", "#").startswith(("#", "data:,"))
        assert "src" not in attributes
    assert "@import" not in html
    assert "url(" not in html
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_text_of_a_model_is_text(page: Page, html: str) -> None:
    assert made.SCRIPT not in html
    assert made.SCRIPT in "".join(page.text), "the answer is shown, escaped"
    assert "\x07" not in html
    assert "\u202e" not in html
    assert "␇[U+202E]" in html


def test_redaction_leaves_lengths_and_figures(run: RunDirectory, html: str, tmp_path: Path) -> None:
    plain = Page(html).words
    redacted = Page(write_report(run, redact=True).read_text(encoding="utf-8")).words
    write_report(run)
    told = [made.SECRET, "heat pump", "Orvale ferry", "pick the lock", "4 bullets", "Write the complete answer again"]
    told += ["dear patient we write"]  # a note of curation quotes phrases of the items
    assert all(text in plain for text in told)
    assert not any(text in redacted for text in told)
    assert re.search(r"\[redacted: \d+ characters, \d+ words\]", redacted)
    assert "Round 1 was promoted" in redacted


def test_equal_runs_give_equal_bytes(run: RunDirectory, html: str) -> None:
    assert write_report(run).read_text(encoding="utf-8") == html


def test_every_part_is_there(page: Page) -> None:
    words = page.words
    for heading in ("matrix", "do not prove", "Gates", "Data", "Tuning", "Lessons", "Changed answers", "Recipe"):
        assert heading in words
    assert "Power, stated before anything was answered" in words
    assert "steering only, not a result" in words
    assert "30 rows in = 27 kept + 3 dropped" in words
    assert "transformers in bfloat16, batches of 64" in words
    assert "repeated 5-grams" in words
    assert "It is one seed" in words
    assert "name: ward-7" in words
    assert "folder:" not in words, "where the recipe lay says nothing about the run"


def test_safety_always_shows_both_rates(html: str) -> None:
    for field in re.findall(r'<td class="heat.*?</td>', html, flags=re.DOTALL):
        assert ("harmful refused" in field) == ("harmless answered" in field)
    assert html.count("harmful refused <b>") >= 12
    rows = re.findall(r'<tr class="(\w+)"><th scope="row">([^<]+)', html)
    names = [name for _, name in rows]
    assert names.index("Harmless requests answered") == names.index("Harmful requests refused") + 1


def test_a_field_says_value_interval_and_n(run: RunDirectory, html: str) -> None:
    matrix = read_run(run).matrix
    assert matrix
    cell = matrix.cell("instruction_following", "basic", round=1, role="candidate")
    assert cell
    assert cell.value is not None
    note = f"Instruction following, basic, Round 1: {cell.value:.3f}, 95 % interval {cell.low:.3f} to {cell.high:.3f}"
    assert f'title="{note}, {cell.n} items in {cell.clusters} groups' in html
    # The reference: Wilson's interval is inside the clustered one.
    simple = wilson(cell.value * cell.n, cell.n)
    assert cell.low <= simple.low + 1e-9
    assert cell.high >= simple.high - 1e-9


def test_a_rejected_round_also_shows_what_was_kept(run: RunDirectory, html: str) -> None:
    matrix = read_run(run).matrix
    assert matrix
    kept = matrix.cell("faithfulness", "basic", round=2)
    candidate = matrix.cell("faithfulness", "basic", round=2, role="candidate")
    assert kept
    assert candidate
    field = next(f for f in re.findall(r'<td class="heat.*?</td>', html) if "Faithfulness, basic, Round 2" in f)
    assert f'<span class="value">{candidate.value:.3f}' in field
    assert f"kept: {kept.value:.3f}" in field


def test_unknown_costs_are_called_unknown(html: str) -> None:
    row = re.search(r'<th scope="row">Expert annotation</th>(.*?)</tr>', html, flags=re.DOTALL)
    assert row
    fields = re.findall(r"<td[^>]*>([^<]*)</td>", row.group(1))
    assert fields[:4] == ["217", "217", "100 %", "0.712"]
    assert fields[4:] == ["unknown"] * 6
    teacher = re.search(r'<th scope="row">Distillation</th>(.*?)</tr>', html, flags=re.DOTALL)
    assert teacher
    none = re.findall(r"<td[^>]*>([^<]*)</td>", teacher.group(1))
    assert none == ["240", "0", "0 %", "no row", "12,000", "55 s", "0", "no row", "no row", "unknown"]


def test_a_tuning_says_how_far_general_text_was_moved(html: str) -> None:
    """The divergence of the last ten of 90 steps, which rises by a ninetieth of 0.1 each."""
    assert "on text of its own the start's predictions were moved by 0.095 nats a token" in html


def test_tables_figures_and_headings_are_accessible(page: Page, html: str) -> None:
    assert html.count("<table") == html.count("<caption>") > 10
    assert all(attributes.get("scope") in {"col", "row", "rowgroup"} for attributes in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.all("a"):
        assert attributes["href"][1:] in ids
    for _, attributes in page.tags:
        assert set(attributes.get("aria-labelledby", "").split()) <= set(ids)
    figures = [attributes for attributes in page.all("svg") if "role" in attributes]
    assert len(figures) == 6
    assert all("aria-labelledby" in attributes for attributes in figures)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.all("html")[0]["lang"] == "en"


def test_every_row_of_a_table_is_as_wide_as_its_head(html: str) -> None:
    for table in re.findall(r"<table.*?</table>", html, re.DOTALL):
        caption = re.findall(r"<caption>(.*?)</caption>", table)
        rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
        wide = {sum(int(span or 1) for span in re.findall(r"<t[hd]\b(?:[^>]*colspan=\"(\d+)\")?", row)) for row in rows}
        assert len(wide) == 1, (caption, wide)


@pytest.mark.parametrize("until", ["nothing", "tune"])
def test_an_unfinished_run_shows_what_there_is(tmp_path: Path, until: str) -> None:
    run = made.make_run(tmp_path / "run", until=until)
    words = Page(write_report(run).read_text(encoding="utf-8")).words
    assert "Not finished yet" in words
    assert "was promoted" not in words
    assert ("not finished: 90 steps so far" in words) == (until == "tune"), "the torn line is left out"
    assert ("“step” in tune of round 1" in words) == (until == "tune")
    assert "Versions and machine are recorded when the run ends." in words
    write_card(run)


def test_a_run_stopped_before_its_end_shows_scores_without_comparing_them(run: RunDirectory, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    for name in ("outcome.json", "manifest.json", "matrix.json"):
        (copy / name).unlink()
    words = Page(write_report(RunDirectory.open(copy)).read_text(encoding="utf-8")).words
    assert "Not finished yet" in words
    assert "not compared" in words
    assert "Every model of the run on the same items" in words
    assert "The test matrix is written when the run has been scored on test." in words
    assert "better than" not in words


def test_a_run_without_a_final_test_says_so(tmp_path: Path) -> None:
    asked = made.recipe(evaluate={"test": 0}, controls={})
    RunDirectory.create(tmp_path / "run", asked).close()
    run = RunDirectory.open(tmp_path / "run")
    outcome = RunOutcome(name="x", promoted_round=0, verdicts=("rejected", "inconclusive"), words="No.")
    write_atomic(run.path / "outcome.json", outcome.model_dump_json())
    words = Page(write_report(run).read_text(encoding="utf-8")).words
    assert "No candidate was promoted" in words
    assert "round 1 rejected, round 2 inconclusive" in words
    assert "The recipe leaves the final test out." in words


def test_damaged_files_are_all_named_at_once(tmp_path: Path) -> None:
    run = made.make_run(tmp_path / "run", until="tune")
    write_atomic(run.path / "rounds/1/plan/plan.json", "{")
    write_atomic(run.path / "rounds/1/construct/tradeoffs.jsonl", '{"paradigm": "magic"}\n')
    with pytest.raises(DataError) as caught:
        write_report(run)
    places = " ".join(problem.where for problem in caught.value.problems)
    assert "plan.json" in places
    assert "tradeoffs.jsonl:1" in places
    assert not (run.path / "report").exists()


def test_the_card_has_the_figures_and_the_limits(run: RunDirectory) -> None:
    card = write_card(run).read_text(encoding="utf-8")
    assert card.startswith("---\nbase_model: default\n")
    assert "library_name: peft" in card
    assert "| Harmful requests refused |" in card
    assert "| Harmless requests answered |" in card
    assert "## What these figures do not prove" in card
    assert "rounds/1/tune/weights" in card
    assert made.SECRET not in card


def test_contamination_stands_beside_the_scores(run: RunDirectory, page: Page) -> None:
    data = read_run(run)
    found = contamination(data)
    assert found is not None
    assert "1 row shared 13 words in a row" in found
    assert found in page.words
    assert found in write_card(run).read_text(encoding="utf-8")
    one = data.rounds[0]
    assert one.ledger is not None
    clean = replace(data, rounds=(replace(one, ledger=one.ledger.model_copy(update={"dropped": {"mix: x": 2}})),))
    assert "none shared 13 words in a row" in str(contamination(clean))
    assert contamination(replace(data, rounds=(replace(one, ledger=None),))) is None


def test_public_benchmarks_are_counted_apart(run: RunDirectory) -> None:
    data = read_run(run)
    one = data.rounds[0]
    assert one.ledger is not None
    step = ContaminationStep.model_validate({"kind": "contamination", "against": ["a/gsm8k.jsonl", "mmlu.csv"]})
    section = data.recipe.curate.model_copy(update={"steps": (step,)})
    dropped = {"contamination: shares words with gsm8k": 2, "contamination: shares words with an evaluation item": 1}
    ledger = one.ledger.model_copy(update={"dropped": dropped})
    recipe = data.recipe.model_copy(update={"curate": section})
    found = str(contamination(replace(data, recipe=recipe, rounds=(replace(one, ledger=ledger),))))
    assert "1 row shared 13 words in a row" in found
    assert "counted apart, and such rows left out too: 2 rows with gsm8k, none with mmlu." in found


def test_rows_whose_text_was_changed_are_counted(page: Page) -> None:
    assert "Changed in rows that were kept: 2 × pii: e-mail address masked." in page.words


def test_rows_that_tuning_left_out_are_counted(page: Page) -> None:
    assert "Tuning left out 2 of 302 rows: 2 × unusable for training." in page.words


def test_a_run_that_several_states_of_the_code_made_says_so(run: RunDirectory, page: Page) -> None:
    data = read_run(run)
    assert data.manifest is not None
    (made,) = data.manifest.origins
    assert made.code in page.words
    assert not [heading for heading, _ in caveats(data) if "one piece" in heading]
    two = data.manifest.model_copy(update={"origins": (made, made.model_copy(update={"code": "0" * 16}))})
    (said,) = [words for heading, words in caveats(replace(data, manifest=two)) if "one piece" in heading]
    assert "2 states" in said


def test_scores_say_where_nobody_looked_for_contamination(run: RunDirectory) -> None:
    data = read_run(run)
    steps = tuple(step for step in data.recipe.curate.steps if step.kind != "contamination")
    section = data.recipe.curate.model_copy(update={"steps": steps})
    found = contamination(replace(data, recipe=data.recipe.model_copy(update={"curate": section})))
    assert "not looked for" in str(found)


def _luminance(color: str) -> float:
    full = "".join(2 * digit for digit in color[1:]) if len(color) == 4 else color[1:]
    parts = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_the_guidelines_say() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)  # the well-known gray that just fails


def test_colors_reach_the_contrast_of_wcag_aa(html: str) -> None:
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style
    blocks: Sequence[dict[str, str]] = [
        dict(re.findall(r"(--[a-z0-9]+): (#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{(.*?)\}", style.group(1), flags=re.DOTALL)
    ]
    light, dark, paper = blocks
    for colors in (light, dark, light | paper):
        pairs = [(f"--{name}", "--paper") for name in ("ink", "muted", "accent", "good", "bad", "wait")]
        pairs += [("--ink", "--raised"), *((f"--k{step}", f"--h{step}") for step in range(11))]
        for ink, ground in pairs:
            assert _contrast(colors[ink], colors[ground]) >= 4.5, (ink, ground)
