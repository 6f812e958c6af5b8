"""Every command on one finished run of the tiny model, as a person calls it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tutelage.cli import main

RECIPE = """
name: small
rounds: 1
model: {id: tiny}
engines: {threads: 1}
tasks: [{kind: constraints}, {kind: safety}]
construct:
  {prompts: 4, max_tokens: 8, rehearsal: {prompts: 2}, distill: {samples: 1, shots: 1},
   self_improve: {samples: 1, revisions: 0}}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 8, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
"""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Call:
    """Calls the command line in this process, through its own ``main``."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str | Path) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["tutelage", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        said = self.capsys.readouterr()
        return Result(int(left.value.code or 0), said.out, said.err)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> Call:
    monkeypatch.chdir(place)
    return Call(capsys, monkeypatch)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, rows and the finished run ``runs/small``; ``log.txt`` holds what the run said."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "small.yaml").write_text(RECIPE)
    rows = [{"instruction": f"Name {n} colors.", "output": f"Here are {n} of them."} for n in range(12)]
    rows.append({"instruction": "Write a lot.", "output": " ".join(f"word{n}" for n in range(900))})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "tutelage", "run", "small.yaml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stderr + done.stdout)
    return folder


def test_a_run_says_what_it_does_one_line_a_fact(place: Path) -> None:
    log = (place / "log.txt").read_text()
    lines = log.splitlines()
    for start in ("small  runs/small", "-- round 1 --", "plan ", "tune ", "gate ", "Report: "):
        assert any(line.startswith(start) for line in lines), start
    assert "\x1b" not in log
    assert "[dim]" not in log


def test_a_second_run_says_that_it_is_done_and_how_to_start_over(call: Call, place: Path) -> None:
    before = (place / "runs/small/outcome.json").stat().st_mtime_ns
    found = call("run", "small.yaml")
    assert found.code == 0
    assert "This run is done." in found.out
    assert "rm -r runs/small" in found.out
    assert (place / "runs/small/outcome.json").stat().st_mtime_ns == before
    line = json.loads(call("run", "small.yaml", "--json").out)
    assert line["done_before"] is True
    assert len(line["verdicts"]) == 1
    assert call("run", "small.yaml", "--quiet").out == ""


def test_another_recipe_is_refused_in_the_same_folder(call: Call) -> None:
    found = call("run", "small.yaml", "--set", "seed=1")
    assert found.code == 4
    assert "seed: 0 → 1" in found.err


def test_runs_reflect_and_report(call: Call, place: Path) -> None:
    line = json.loads(call("runs", "--json").out)
    assert (line["state"], line["round"], line["split"]) == ("finished", 1, "test")
    assert "finished" in call("runs").out
    rounds = json.loads(call("reflect", "runs/small", "--json").out)
    assert [one["round"] for one in rounds] == [0, 1]
    assert rounds[0]["diagnosis"]
    assert rounds[1]["verdict"]["outcome"] in {"promoted", "rejected", "inconclusive"}
    shown = call("reflect", "runs/small").out
    assert "Diagnosis" in shown
    assert "Plan:" in shown
    assert "Gate:" in shown
    page = json.loads(call("report", "runs/small", "--redact", "--json").out)["report"]
    assert (place / page).is_file()


def test_compare_and_its_labels(call: Call) -> None:
    found = json.loads(
        call("compare", "runs/small", "runs/small", "--before-label", "start", "--after-label", "round 1", "--json").out
    )
    assert found["split"] == "test"
    assert found["macro"]["n"] > 0
    wrong = call("compare", "runs/small", "runs/small", "--after-label", "round 7")
    assert wrong.code == 4
    assert "There are: round 1, start" in wrong.err


def test_evaluate_prints_cells_with_intervals_and_keeps_them(call: Call) -> None:
    found = call("evaluate", "small.yaml", "--per-cell", "1", "--task", "constraints", "-o", "scores")
    assert found.code == 0
    assert "95 % interval" in found.out
    assert "macro" in found.out
    again = call("evaluate", "small.yaml", "--per-cell", "1", "--task", "constraints", "-o", "scores", "--json")
    assert json.loads(again.out.splitlines()[-1])["n"] >= 4
    assert call("compare", "scores", "scores").code == 0
    shutil.copytree("scores", "otherwise")
    summary = Path("otherwise") / "summary.json"
    stored = json.loads(summary.read_text())
    stored["engine"] |= {"dtype": "bfloat16", "template": "another"}
    summary.write_text(json.dumps(stored))
    unlike = call("compare", "scores", "otherwise")
    assert unlike.code == 2
    said = " ".join(unlike.err.split())
    assert "different dtype (received 'float32' and 'bfloat16'). Score one of them again" in said
    assert "template" not in unlike.err
    assert call("compare", "scores", "otherwise", "--any-engine").code == 0
    wrong = call("evaluate", "small.yaml", "--task", "grounded")
    assert wrong.code == 2
    assert "constraints, safety" in wrong.err


def test_curate_then_tune_a_file(call: Call, place: Path) -> None:
    ledger = json.loads(call("curate", "rows.jsonl", "-o", "kept", "--recipe", "small.yaml", "--json").out)
    assert ledger["rows_in"] == ledger["kept"] + sum(ledger["dropped"].values())
    assert "came in" in call("curate", "rows.jsonl", "-o", "kept").out
    found = call("tune", "--data", "rows.jsonl", "--model", "tiny", "-o", "tuned", "--set", "tune.max_tokens=512")
    assert found.code == 0, found.err
    assert "1 row was not trained on" in found.out
    dropped = [json.loads(line) for line in (place / "tuned" / "dropped.jsonl").read_text().splitlines()]
    assert [row["step"] for row in dropped] == ["tune"]
    assert "512" in dropped[0]["reason"]
    assert call("evaluate", "tiny", "--adapter", "tuned/weights", "--per-cell", "1", "-q").code == 0


def test_a_recipe_that_brings_its_own_rows(call: Call, place: Path) -> None:
    settings = "  objective: {kind: sft}\n  max_tokens: 512\n  optimizer: {kind: adamw, lr: 1.0e-4}\n"
    text = f"name: bench\nmodel: {{id: tiny}}\ntune:\n  data: {{path: rows.jsonl}}\n{settings}"
    (place / "bench.yaml").write_text(text)
    assert "bench.yaml is valid: 13 rows of rows.jsonl, model tiny" in call("recipe", "validate", "bench.yaml").out
    assert "rounds" not in call("recipe", "show", "bench.yaml").out
    assert "13 rows of rows.jsonl" in call("preview", "bench.yaml", "--rows", "0").out
    found = call("tune", "bench.yaml")
    assert found.code == 0, found.err
    assert "Next: tutelage evaluate bench.yaml --adapter runs/bench/tune/weights" in found.out
    summary = json.loads((place / "runs" / "bench" / "tune" / "summary.json").read_text())
    told = {
        "rows",
        "total_tokens",
        "target_tokens",
        "steps",
        "seconds",
        "tokens_per_second",
        "peak_rss_bytes",
        "losses",
    }
    assert told <= summary.keys()
    assert call("tune", "bench.yaml", "--json").code == 0  # finished: told again
    refused = call("run", "bench.yaml")
    assert refused.code == 2
    assert "a run makes its own rows" in refused.err
    assert call("evaluate", "bench.yaml", "--per-cell", "1", "-q").code == 0  # on the tasks of the package
    assert "are of no round" in call("tune", "bench.yaml", "--round", "2").err
    elsewhere = call("tune", "bench.yaml", "--out", "runs/small")
    assert elsewhere.code == 2
    assert "a run of a whole loop is in the way" in elsewhere.err


def test_preview_marks_what_is_trained_and_what_would_be_dropped(call: Call) -> None:
    shown = call("preview", "rows.jsonl", "--model", "tiny", "--rows", "1", "--max-tokens", "512").out
    assert "⟦Here are 0 of them.<|im_end|>⟧" in shown
    assert "1 row is longer than 512 tokens and would be dropped, never truncated" in shown
    rows = json.loads(call("preview", "rows.jsonl", "--model", "tiny", "--json").out)["rows"]
    assert len(rows) == 13
    assert all(0 < row["trained"] < row["tokens"] for row in rows)
    assert "expert rows of small" in call("preview", "small.yaml", "--rows", "0").out
    assert "rounds/1/curate" in call("preview", "runs/small", "--rows", "0").out
    assert call("preview", "rows.jsonl").code == 2


def test_preview_tune_and_chat_take_the_chat_template_of_the_recipe(call: Call, place: Path) -> None:
    marked = "{% for m in messages %}<|im_start|>[{{ m.role }}] {{ m.content }}<|im_end|>\n{% endfor %}"
    marked += "{% if add_generation_prompt %}<|im_start|>[assistant] {% endif %}"
    (place / "chat.jinja").write_text(marked)
    (place / "templated.yaml").write_text(RECIPE.replace("id: tiny", "id: tiny, template: chat.jinja"))
    assert "[user] " in call("preview", "templated.yaml", "--rows", "1").out
    assert "[user] " not in call("preview", "templated.yaml", "--rows", "1", "--model", "tiny").out
    (place / "chat.jinja").write_text("{{ broken")
    for command in (
        ("preview", "templated.yaml"),
        ("chat", "templated.yaml"),
        ("tune", "templated.yaml", "--data", "rows.jsonl", "--out", "templated"),
    ):
        found = call(*command)
        assert found.code == 3, command
        assert "template" in found.err


def test_chat_says_which_weights_answer(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n/reset\n/what\nagain\n/exit\n"))
    found = call("chat", "runs/small", "--max-tokens", "3", "--temperature", "1")
    assert found.code == 0
    assert "tiny, untuned (start)" in found.err
    assert "a new conversation" in found.err
    assert "There are /reset and /exit." in found.err


def test_ctrl_c_ends_in_words_and_the_run_goes_on(place: Path) -> None:
    recipe = RECIPE.replace("probe: 2", "probe: 400").replace("max_tokens: 8, general", "max_tokens: 64, general")
    (place / "long.yaml").write_text(recipe.replace("name: small", "name: long"))
    command = [sys.executable, "-m", "tutelage", "run", "long.yaml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    ) as process:
        answers = place / "runs/long/rounds/0/evaluate/answers.jsonl"
        for _ in range(1200):
            if answers.is_file() or process.poll() is not None:
                break
            time.sleep(0.1)
        said = ""
        for _ in range(6):  # an interrupt that falls into a destructor is lost in CPython: people press again
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                _, said = process.communicate(timeout=30)
                break
    assert process.returncode == 130
    assert "interrupted; what was finished is kept" in said
    assert "Traceback" not in said
    assert answers.is_file()
