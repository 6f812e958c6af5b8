"""Whatever a user hands over: an answer in words, a stable exit code, and nothing half-made."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tutelage.models.load import save_folder
from tutelage.models.tiny import tiny_model
from tutelage.recipe import load_recipe
from tutelage.records import Dropped, Ledger
from tutelage.records.jsonl import read_records
from tutelage.runs import RunDirectory

HERE = Path(__file__).parent
RECIPE = f"""
name: words
model: {{id: tiny}}
rounds: 1
engines: {{chunk: 8, reference_batch: 4, threads: 1}}
tasks:
  - {{kind: custom, path: "{HERE / "words_task.py"}:Words"}}
construct:
  prompts: 6
  max_tokens: 24
  distill: {{shots: 1, samples: 2}}
  self_improve: {{samples: 2, revisions: 1}}
  rehearsal: {{prompts: 3}}
tune: {{batch_size: 2, checkpoint_every: 2}}
reflect: {{gate: {{resamples: 1000}}}}
evaluate: {{probe: 2, gate: 2, test: 0, max_tokens: 8, general_prompts: 1}}
"""
ROWS = """
name: rows
model: {id: tiny}
tasks: [{kind: rows, path: FILE, check: exact}]
"""
UNMASKABLE = "{% for message in messages %}{{ message.content | upper }} {% endfor %}"
OTHER, RECIPE_, MODEL, RUN, STORAGE, TRAINING, INTERRUPTED = 1, 2, 3, 4, 5, 7, 130


@dataclass(frozen=True)
class Case:
    """Arguments of a command, what it must leave with, and what it must say."""

    arguments: list[str]
    code: int
    says: list[str]
    settings: dict[str, Any]


CASES: dict[str, Case] = {}
FILES: dict[str, str | bytes | Callable[[Path], None]] = {"words.yaml": RECIPE}


def case(name: str, arguments: str, code: int, says: list[str], **settings: Any) -> None:
    """State one case; each gets a run directory of its own unless it names one."""
    own = [] if "--out" in arguments else ["--out", f"run-{len(CASES)}"]
    CASES[name] = Case(["run", *arguments.split(), *own], code, says, settings)


def recipe(name: str, content: str | bytes, says: list[str]) -> None:
    """State the case of a recipe that is refused."""
    FILES[f"{name}.yaml"] = content
    case(f"recipe {name}", f"{name}.yaml", RECIPE_, says)


def rows(name: str, content: str | bytes, says: list[str], ending: str = "jsonl") -> None:
    """State the case of a data file that is refused."""
    FILES[f"{name}.{ending}"] = content
    FILES[f"rows-{name}.yaml"] = ROWS.replace("FILE", f"{name}.{ending}")
    case(f"rows {name}", f"rows-{name}.yaml", RECIPE_, says)


# Recipes.
case("recipe missing", "wrds.yaml", RECIPE_, ["no such recipe", "words.yaml"])
case("recipe is a folder", ".", RECIPE_, ["this is a folder"])
recipe("latin", b"name: caf\xe9\n", ["not UTF-8", "byte 9"])
recipe("tab", "name: x\n\ttasks: []\n", ["line 2", "not valid YAML"])
recipe("list", "- a\n", ["a recipe is a mapping"])
recipe("empty", "", ["empty", "tutelage init"])
recipe("endless", "a: &a [*a]\n", ["nested without end"])
recipe("deep", "a: " + "[" * 3000, ["nested without end"])
recipe("no-date", "name: 2020-13-45\n", ["month must be in 1..12", "quotes"])
recipe("code", "name: !!python/object/apply:os.system ['true']\n", ["not valid YAML", "line 1"])
recipe("unknown", RECIPE + "tunee: {}\n", ["tunee", "did you mean 'tune'"])
recipe("no-kind", "name: x\ntasks: [{weight: 2}]\n", ["1 problem", "line 2, tasks.0", "kind"])
recipe(
    "several",
    RECIPE.replace("batch_size: 2", "batchsize: 2").replace("rounds: 1", "rounds: two").replace("words\n", "../up\n"),
    ["3 problems", "line 2, name", "line 4, rounds", "'two'", "did you mean 'batch_size'"],
)
recipe(
    "contradiction",
    "name: x\ntasks: [{kind: safety}]\nconstruct: {expert: null, distill: null, self_improve: null}\n",
    ["all three paradigms are switched off"],
)
case("set unknown", "words.yaml --set tune.epoch=2", RECIPE_, ["tune.epoch", "did you mean 'epochs'"])
case("set wrong", "words.yaml --set tune.epochs=many", RECIPE_, ["tune.epochs", "'many'"])
case("set nothing", "words.yaml --set tune.epochs", RECIPE_, ["key.path=value"])
case("task missing", "words.yaml --set tasks.0.path=gone.py:Words", RECIPE_, ["gone.py", "no such Python file"])
FILES["boom.py"] = "raise RuntimeError('boom')\n"
case("task raises", "words.yaml --set tasks.0.path=boom.py:Words", RECIPE_, ["boom.py", "RuntimeError: boom"])
FILES["half.py"] = "def (\n"
case("task is no Python", "words.yaml --set tasks.0.path=half.py:Words", RECIPE_, ["half.py:1", "SyntaxError"])
FILES["thing.py"] = "class Words:\n    name = 'words'\n"
case("task is none", "words.yaml --set tasks.0.path=thing.py:Words", RECIPE_, ["not a task", "dimension"])

OWN = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nfrom words_task import Words\n\n\nclass Own(Words):\n"
for method in ("items", "check"):
    FILES[f"{method}.py"] = f"{OWN}    def {method}(self, *given, **named):\n        return [][1]\n"
    says = [f"{method}.py:8", "of the task words raised IndexError: list index out of range"]
    case(f"task fails in {method}", f"words.yaml --set tasks.0.path={method}.py:Own", OTHER, says)
FILES["step.py"] = "class Step:\n    name = 'mine'\n\n    def apply(self, rows):\n        return {}[rows[0].id]\n"
FILES["own-step.yaml"] = RECIPE + "curate: {steps: [{kind: custom, path: 'step.py:Step'}]}\n"
case("step fails", "own-step.yaml", OTHER, ["step.py:5", "the curation step mine raised KeyError"])
FILES["planner.py"] = "def plan(cells, budget, floor, target):\n    return cells[budget]\n"
planned = "reflect: {planner: {kind: custom, path: 'planner.py:plan'}, "
FILES["own-planner.yaml"] = RECIPE.replace("reflect: {", planned)
case("planner fails", "own-planner.yaml", OTHER, ["planner.py:2", "the planner planner.py:plan raised IndexError"])
recipe(
    "facet",
    "name: x\ntasks: [{kind: safety}]\ncurate: {steps: [{kind: mix, facet_shares: {harmfull: 0.3}}]}\n",
    ["no item of this recipe has this facet", "harmfull", "did you mean 'harmful'"],
)

# Models.
case("model missing", "words.yaml --set model.id=./nowhere", MODEL, ["no such model", "./nowhere"])
case("model not in the cache", "words.yaml --offline --set model.id=no/model", MODEL, ["no/model", "--offline"])
FILES["broken.gguf"] = b"GGUF\x03\0\0\0" + b"\xff" * 200
case("gguf broken", "words.yaml --set model.id=broken.gguf", MODEL, ["broken.gguf", "cut off or damaged"])
FILES["nothing.gguf"] = b""
case("gguf empty", "words.yaml --set model.id=nothing.gguf", MODEL, ["nothing.gguf", "does not begin with GGUF"])
FILES["bare/config.json"] = "{}"
case("model without weights", "words.yaml --set model.id=./bare", MODEL, ["lacks weights"])


def _half_a_model(folder: Path) -> None:
    save_folder(tiny_model(), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


FILES["half"] = _half_a_model
case("model cut off", "words.yaml --set model.id=./half", MODEL, ["./half", "cannot be loaded"])
case("no such device", "words.yaml --set model.device=cuda:7", MODEL, ["cuda:7"])
FILES["upper.jinja"] = UNMASKABLE
case("template without mask", "words.yaml --set model.template=upper.jinja", MODEL, ["chat template"])
FILES["bad.jinja"] = "{% for message in %}"
case(
    "template broken", "words.yaml --set model.template=bad.jinja", RECIPE_, ["model.template", "bad.jinja:1", "Jinja"]
)

# Data.
rows("none", "", ["none.jsonl", "no rows"])
rows("cut", '{"prompt": "a", "reference": "b"}\n{"prompt": "a"\n', ["cut.jsonl:2", "not valid JSON"])
rows("keys", '{"prompt": "a", "reference": "b"}\n{"promt": "a", "reference": "b"}\n', ["keys.jsonl:2", "prompt"])
rows("latin", b'{"prompt": "caf\xe9", "reference": "b"}\n', ["latin.jsonl:1", "0xe9", "UTF-8"])
rows("nul", b"\0\0\0\0\n", ["nul.jsonl:1", "not valid JSON"])
rows("torn", "prompt,reference\na\n", ["torn.csv:2", "2 cells"], ending="csv")
rows("long", '{"prompt": "' + "a " * 5_000_000 + '", "refrence": "b"}\n', ["long.jsonl:1", "reference"])
FILES["rows-gone.yaml"] = ROWS.replace("FILE", "gone.jsonl")
case("rows missing", "rows-gone.yaml", RECIPE_, ["gone.jsonl", "no such file"])

# Run directories and storage.
FILES["foreign/diary.txt"] = "mine"
case("folder of somebody else", "words.yaml --out foreign", RUN, ["not a run"])
case("file in the way", "words.yaml --out words.yaml", RUN, ["a file is in the way"])
case("file on the way", "words.yaml --out words.yaml/deeper", STORAGE, ["is a file, not a folder"])
case("name too long", "words.yaml --out " + "n" * 300, STORAGE, ["name is too long"])
case("folder refused", "words.yaml --out /proc/nothing", STORAGE, ["/proc/nothing"])
FILES["damaged/recipe.json"] = '{"name": "words", "tusks": []}'
case("run damaged", "words.yaml --out damaged", RUN, ["recipe.json", "damaged", "delete"])
case("run in use", "words.yaml --out used", RUN, ["another process works in this run"])
case("disk full at once", "words.yaml --out full", STORAGE, ["full/recipe.json", "cannot write"], file_bytes=500)
case("disk full while tuning", "words.yaml --out filling", STORAGE, ["checkpoints", "cannot write"], file_bytes=40_000)
case("goes on with space", "words.yaml --out filling --quiet", 0, [])
case("another recipe", "words.yaml --out filling --set seed=4", RUN, ["another recipe", "seed: 0 → 4"])
case("memory", "words.yaml --out memory --set model.id=./large", MODEL, ["memory"], more_memory=100_000_000)
FILES["large"] = lambda folder: save_folder(tiny_model(hidden=1024, layers=4), folder)
case(
    "Ctrl-C",
    "words.yaml --out stopped",
    INTERRUPTED,
    ["same command goes on"],
    interrupt_at="stopped/rounds/1/construct",
)
case("goes on after Ctrl-C", "words.yaml --out stopped --quiet", 0, [])

# Rows that cannot be trained on.
case(
    "all rows too long",
    "words.yaml --out long --set tune.max_tokens=12",
    TRAINING,
    ["max_tokens is 12", "dropped.jsonl"],
)
case("some rows too long", "words.yaml --out some --set tune.max_tokens=34 --quiet", 0, [])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of all cases."""
    folder = tmp_path_factory.mktemp("bad")
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str | bytes):
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            content(file)
    return folder


@pytest.fixture(scope="module")
def results(place: Path) -> dict[str, dict[str, Any]]:
    """What became of every case; they are worked off by one process that forks for each."""
    jobs = [{"argv": one.arguments, "cwd": str(place), **one.settings} for one in CASES.values()]
    (place / "jobs.json").write_text(json.dumps(jobs))
    with RunDirectory.create(place / "used", load_recipe(place / "words.yaml")):
        done = subprocess.run(
            [sys.executable, str(HERE / "commands.py"), str(place / "jobs.json")],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TUTELAGE_CACHE": str(place / "cache")},
            timeout=1200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_in_words(results: dict[str, dict[str, Any]], name: str) -> None:
    said = results[name]["err"]
    assert results[name]["code"] == CASES[name].code, said
    assert "Traceback" not in said + results[name]["out"]
    assert "Warning" not in said
    for words in CASES[name].says:
        assert words.casefold() in said.casefold(), said
    if results[name]["code"]:
        assert sum(line.startswith("error ") for line in said.splitlines()) == 1, said
    else:
        assert said == ""


def test_nothing_is_half_written(results: dict[str, dict[str, Any]], place: Path) -> None:
    assert results
    assert list(place.rglob("*.partial")) == []
    assert sorted(file.name for file in (place / "foreign").iterdir()) == ["diary.txt"]
    assert (place / "words.yaml").read_text() == RECIPE
    for log in place.glob("*/**/*.jsonl"):
        for line in log.read_text(encoding="utf-8").splitlines():
            json.loads(line)


def test_a_row_that_would_lose_its_completion_goes_to_the_ledger(
    results: dict[str, dict[str, Any]], place: Path
) -> None:
    assert results["some rows too long"]["code"] == 0
    folder = place / "some/rounds/1/tune"
    ledger = Ledger.from_json((folder / "ledger.json").read_bytes())
    dropped = read_records(folder / "dropped.jsonl", Dropped)
    assert 0 < len(dropped) == ledger.dropped["unusable for training"] < ledger.rows_in
    assert ledger.kept + len(dropped) == ledger.rows_in
    assert all(row.step == "tune" and "max_tokens is 34" in row.reason and row.row for row in dropped)
    steps = (folder / "metrics.jsonl").read_text().splitlines()
    assert sum(json.loads(step)["rows"] for step in steps) == ledger.kept


def test_a_mended_recipe_takes_the_folder_of_its_first_try(results: dict[str, dict[str, Any]], place: Path) -> None:
    """A name of a model with a slip must not cost the name of the run."""
    folder = place / CASES["model missing"].arguments[-1]
    assert results["model missing"]["code"] == MODEL
    mended = load_recipe(place / "words.yaml")
    with RunDirectory.create(folder, mended) as run:
        assert run.recipe.model.id == "tiny"
