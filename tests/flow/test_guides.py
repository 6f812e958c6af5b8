"""The guides are run as they stand: every bash, python and yaml block, in order, in an empty folder.

A python block whose first line is ``# file.py`` is written to that file, a yaml block laid over the recipe that its
first line names. The test brings what a reader brings, a file of rows, and keeps it small: the tiny model in place of
any other, few and short answers.
"""

import csv
import json
import random
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.vllm_server import Behaviour, install, read_journal

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(bash|python|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
SMALL = (
    "model.id=tiny",
    "engines.threads=1",
    "evaluate.max_tokens=6",
    "evaluate.general_prompts=2",
    "evaluate.probe=4",
    "evaluate.gate=6",
    "evaluate.test=6",
    "construct.max_tokens=6",
    "construct.prompts=6",
    "reflect.gate.resamples=1000",
)
WORDS = (
    "pump valve filter hose motor gauge switch lamp cable fan belt gear shaft wheel frame cover screw spring lever "
    "handle turn stop leak rattle heat cool fill drain open close lift hold"
)
COMMANDS = Path(__file__).parent / "commands.py"
# What every block of a guide starts with: the reader's commands unchanged, the sizes appended. They are done by a
# process that has everything imported.
PRELUDE = f"""set -euo pipefail
tutelage() {{
  local sizes=()
  case "$1" in
    init) sizes=(--model tiny) ;;
    run) sizes=({" ".join(f"--set {setting}" for setting in SMALL)}) ;;
  esac
  {shlex.quote(sys.executable)} -S {shlex.quote(str(COMMANDS))} --ask "$COMMANDS_SOCKET" "$@" "${{sizes[@]}}"
}}
"""


@pytest.fixture(scope="module", autouse=True)
def commands() -> Iterator[None]:
    """A process that does the commands; where it listens stands in the environment."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        place = Path(folder) / "socket"
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("COLUMNS", "120")
        patch.setenv("COMMANDS_SOCKET", str(place))
        with subprocess.Popen([sys.executable, str(COMMANDS), "--serve", str(place)]) as server:
            while not place.exists():
                assert server.poll() is None, "it says why on its errors"
                time.sleep(0.05)
            yield
            server.kill()


def blocks(guide: str) -> list[tuple[str, str]]:
    return BLOCK.findall((DOCS / "guides" / f"{guide}.md").read_text(encoding="utf-8"))


def bring_rows(folder: Path) -> None:
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "reference"])
        draw = random.Random(0)
        for _ in range(40):
            one, other, *answer = draw.sample(WORDS.split(), 10)
            writer.writerow([f"What is said of {one} and {other}?", f"That they {' '.join(answer)}."])


def bring_documents(folder: Path) -> None:
    """Two documents of four sections each."""
    folder.mkdir()
    draw = random.Random(1)
    for name in ("cellar", "roof"):
        sections = [
            f"## {word}\n\nThe {' '.join(draw.choices(WORDS.split(), k=40))}.\n" for word in ("a", "b", "c", "d")
        ]
        (folder / f"{name}.md").write_text(f"# {name}\n\n" + "\n".join(sections), encoding="utf-8")


def follow(guide: str, folder: Path) -> str:
    """Do what the guide says and return what was printed."""
    printed = []
    for language, text in blocks(guide):
        named = FILE.match(text)
        if language == "bash":
            printed.append(execute(["bash", "-c", PRELUDE + text], folder))
        elif language == "yaml":
            assert named, f"{guide}: a yaml block names its recipe in the first line"
            lay_over(folder / named[1], text)
        elif named:
            (folder / named[1]).write_text(text, encoding="utf-8")
        else:
            printed.append(execute([sys.executable, "-c", text], folder))
    return "\n".join(printed)


def execute(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def lay_over(recipe: Path, text: str) -> None:
    before = yaml.safe_load(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}
    merged = {**before, **yaml.safe_load(text)}
    recipe.write_text(re.sub("id: HuggingFaceTB/[^}\n]*", "id: tiny", yaml.safe_dump(merged)), encoding="utf-8")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who has followed the guide on own data."""
    folder = tmp_path_factory.mktemp("reader")
    bring_rows(folder)
    said = follow("own-data", folder)
    assert "No row has a check" in said
    assert "imitation" in (folder / "runs" / "my-task" / "outcome.json").read_text(encoding="utf-8")
    assert (folder / "runs" / "my-checked" / "manifest.json").is_file()
    return folder


def test_own_data_ends_in_a_report(reader: Path) -> None:
    page = (reader / "runs" / "my-task" / "report" / "index.html").read_text(encoding="utf-8")
    assert "my-task" in page


def test_reading_a_report(reader: Path) -> None:
    said = follow("reading-a-report", reader)
    assert "loss of the references" in said
    assert "promoted weights:" in said


def test_serving(reader: Path) -> None:
    said = follow("serving", reader)
    assert "Nothing stands in the way of tuning this model here." in said
    assert "my-adapter: round 1 of my-task, a PEFT adapter" in said
    assert "vllm serve my-model" in said
    assert "round 1" in (reader / "my-model" / "README.md").read_text(encoding="utf-8")


def test_own_task(tmp_path: Path) -> None:
    said = follow("own-task", tmp_path)
    assert "The date is right." in said
    assert "Year, month and day with dashes were asked" in said
    assert (tmp_path / "runs" / "dates" / "outcome.json").is_file()


def test_own_teacher(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    said = follow("own-teacher", tmp_path)
    assert (tmp_path / "runs" / "taught" / "outcome.json").is_file()
    assert "my-large-model" in said
    assert "The ceiling is 5.00 in money and 3 hours." in said
    assert "What my-large-model at http://127.0.0.1:8000/v1 does not answer is sent to their-model" in said
    assert "These items leave this machine for api.example.com." in said


def test_documents(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    bring_documents(tmp_path / "handbook")
    said = follow("documents", tmp_path)
    assert "6 of 8 passages of 2 documents × 1" in said
    assert "it sees 6 passages of documents a round" in said
    assert "my-large-model" in said
    assert "What the teacher costs" in said
    folder = tmp_path / "runs" / "reading" / "rounds" / "1" / "construct" / "documents"
    for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
        assert line in said
    counts = json.loads((folder / "questions_yield.json").read_text(encoding="utf-8"))
    assert counts["asked"] == 6


def test_templates(tmp_path: Path) -> None:
    said = follow("templates", tmp_path)
    stage = tmp_path / "runs" / "reviews" / "rounds" / "1" / "construct"
    rows = [json.loads(line) for line in (stage / "records.jsonl").read_text(encoding="utf-8").splitlines()]
    made = [row for row in rows if row["lineage"]["source"] == "templates"]
    assert len(made) == 40, "20 rows, each in 2 of 3 wordings"
    assert {row["lineage"]["prompt"] for row in made} == {"ask", "letters", "write"}
    held = (stage / "templates" / "held_out.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["lineage"]["prompt"] for line in held} == {"unseen"}
    assert f"{len(rows):,} rows, conversations (records of this library)" in said


def test_instructions(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    said = follow("instructions", tmp_path)
    assert "8 requests to order × 2 answers" in said
    assert "orders for 8 conversations a round" in said
    assert "32 requests to order × 3 answers, up to 2 turns; 16 personas" in said
    assert "requests that the teacher wrote and its answers to them" in " ".join(said.split())
    folder = tmp_path / "runs" / "ordering" / "rounds" / "1" / "construct" / "instructions"
    for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
        assert line in said
    counts = json.loads((folder / "requests_yield.json").read_text(encoding="utf-8"))
    assert counts["asked"] == 8


def test_self_improvement(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    said = follow("self-improvement", tmp_path)
    told = " ".join(said.split())
    assert "8 new tasks, in at most 2 steps of 2 requests for 8 each" in said
    assert "The student writes for itself; it sees the experts' demonstrations and tasks that it wrote" in told
    assert "it is sent the tasks of seeds.jsonl and tasks that it wrote, 8 in each request for new ones" in told
    assert "requests for 1 of 1 passages of 1 documents, and a grade for each, 4 at least" in told
    assert "16 requests out of nothing, each × 1 answers" in told
    folder = tmp_path / "runs" / "improving" / "rounds" / "1" / "construct" / "self_instruct"
    for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
        assert line in said
    counts = json.loads((folder / "instructions-1_yield.json").read_text(encoding="utf-8"))
    assert counts["asked"] == 1
    assert "4 instructions evolved 2 times, each × 1 answers" in said
    folder = tmp_path / "runs" / "evolving" / "rounds" / "1" / "construct" / "evolve"
    for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
        assert line in said


def test_principles(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    said = follow("principles", tmp_path)
    assert "up to 3 prompts of asked.jsonl × 2 critiques and revisions, by the student" in " ".join(said.split())
    folder = tmp_path / "runs" / "revising-both" / "rounds" / "1" / "construct"
    for name in ("constitution", "reflection"):
        for line in (folder / name / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
            assert line in said
    counts = json.loads((folder / "reflection" / "instruction_yield.json").read_text(encoding="utf-8"))
    assert counts["asked"] == 2


def test_sampling_with_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command stands for vLLM, which nobody has here."""
    for name, value in install(tmp_path / "bin", Behaviour(journal=str(tmp_path / "journal.jsonl"))).items():
        monkeypatch.setenv(name, value)
    bring_rows(tmp_path)
    said = follow("sampling-with-vllm", tmp_path)
    assert f"a vLLM server that the run starts on this machine ({tmp_path / 'bin' / 'vllm'})" in " ".join(said.split())
    assert (tmp_path / "runs" / "fast" / "outcome.json").is_file()
    assert {what for what, _ in read_journal(tmp_path / "journal.jsonl")} >= {"start", "ask"}


def test_judges(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    said = follow("judges", tmp_path)
    assert "answers without a check" in said
    assert "run on this machine; it sees train items, answers to them, the experts' answers to them" in said
    assert "The ceiling of judging, apart from that of teaching, is" in said
    assert "kappa 0.40 on 3 answers, 1 left out" in said
    assert (tmp_path / "runs" / "judged" / "rounds" / "1" / "construct" / "judged.jsonl").is_file()


def test_annotation(tmp_path: Path) -> None:
    said = follow("annotation", tmp_path)
    assert "answers (rate): 3 of 3 items are finished" in said
    assert "1 of 3 items are disputed (above 0.3)" in said
    assert "item lamp" in said
    assert "2 of 3 items are in them" in said
    assert "1 are not: its score is below 0.75" in said
    assert "taught.yaml is valid" in said
    assert "from studio (rate): 3 of 3 items are finished" in said


def test_choosing_rows(tmp_path: Path) -> None:
    said = follow("choosing-rows", tmp_path)
    for name, rows in (("chosen", 12), ("best", 12), ("mixed", 30)):
        kept = (tmp_path / name / "records.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(kept) == rows, name
    assert "no row is of distill; the weights of the others count among themselves" in said
    assert (tmp_path / "chosen" / "readings" / "likelihoods.jsonl").is_file()


def test_capacity_gaps(tmp_path: Path) -> None:
    bring_rows(tmp_path)
    said = " ".join(follow("capacity-gaps", tmp_path).split())
    assert re.search(r"[1-9]\d* test items with up to 4 expert demonstrations each, as a control", said)
    assert "Probe and gate items and the student's answers are not sent to it." in said


def bring_chats(folder: Path) -> None:
    """Twenty rows, one of them with each fault of the guide, and two benchmarks."""
    asked = "Janet has three ducks and every one of them lays two eggs a day, how many eggs a week?"
    rows = [(f"What is said of the {one}?", f"The {one} is cold today.") for one in WORDS.split()[:16]]
    rows += [
        (asked, "Forty-two."),
        ("Who answers?", "Write to jane@clinic-west.org, please.\r\n"),
        ("Hello?", "Go away, you idiot."),
        ("Auf Deutsch?", "Der Fluss stieg nach dem Sturm an, und die Leute zogen auf den Hügel."),
    ]
    lines = [json.dumps({"prompt": prompt, "response": answer}) for prompt, answer in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "gsm8k.jsonl").write_text(json.dumps({"question": asked, "answer": "42"}), encoding="utf-8")
    (folder / "own-exam.csv").write_text("frage,antwort\nWas ist eine Pumpe?,Ein Ding.\n", encoding="utf-8")


def test_curation(tmp_path: Path) -> None:
    bring_chats(tmp_path)
    said = " ".join(follow("curation", tmp_path).split())
    assert "gsm8k: 1 of 1 item found, in 1 row: line 1" in said
    assert "1 of these changed by pii: e-mail address masked" in said
    assert "as it should" in said
    assert "−1 toxicity: toxic answer" in said
    assert not (tmp_path / "too-few").exists()
    assert "[EMAIL]" in (tmp_path / "kept" / "records.jsonl").read_text(encoding="utf-8")


PAGES = (
    *(
        "capacity-gaps",
        "choosing-rows",
        "curation",
        "own-data",
        "own-task",
        "own-teacher",
        "documents",
        "instructions",
        "self-improvement",
        "judges",
        "principles",
        "sampling-with-vllm",
        "reading-a-report",
        "serving",
    ),
)


@pytest.mark.parametrize("page", ["tour", *(f"guides/{name}" for name in PAGES)])
def test_what_a_page_names_is_there(page: str) -> None:
    file = DOCS / f"{page}.md"
    text = file.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        assert (file.parent / link).exists(), link
    for path in re.findall(r"`((?:src|docs|tests|recipes)/[^`]*)`", text):
        assert (ROOT / path).exists(), path
