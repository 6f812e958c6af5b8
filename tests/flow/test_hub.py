"""Rows from a hub, and a model to one: over real connections, to a hub on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from support.hub import COMMIT, hub
from tutelage.cli.tune import Tuning, tune_command
from tutelage.errors import InputErrors
from tutelage.files import read_json
from tutelage.recipe.data import DataSection

ROWS = [{"instruction": f"Say the word {word}.", "output": f"{word}!"} for word in ("hello", "bye", "yes")]
TRAIN = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CARD = b"---\nlicense: cc-by-4.0\n---\nRows.\n"
FETCH = """
import sys
from pathlib import Path
from tutelage.errors import TutelageError
from tutelage.pipeline.hub_rows import rows_file
from tutelage.recipe.data import DataSection
from tutelage.records.tables import read_rows

for asked, offline in ASKED:
    try:
        found = rows_file(DataSection(**asked), Path(), offline=offline)
        print([row.values["output"] for row in read_rows(found.file)], found.name)
    except TutelageError as error:
        print(" ".join(str(error).split()))
"""
PINNED = """
from pathlib import Path
from tutelage.pipeline.hub_rows import pinned_rows
from tutelage.recipe.data import DataSection
from tutelage.records.tables import read_rows

found = pinned_rows(DataSection(hub="owner/rows"), Path(), out=Path(OUT), offline=False)
print([row.values["output"] for row in read_rows(found.file)], found.name)
"""
PUSH = """
from pathlib import Path
from tutelage.pipeline.hub_push import push
print(push(Path(FOLDER), "me/model", holds="model"))
"""


def environment(address: str, home: Path, **more: str) -> Mapping[str, str]:
    own = {"HF_ENDPOINT": address, "HF_HOME": str(home / "hf"), "TUTELAGE_CACHE": str(home / "cache")}
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TUTELAGE_"))}
    return rest | own | more


def ran(arguments: list[str], env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], env=env, cwd=cwd, capture_output=True, text=True)


def test_tuning_on_a_data_set_of_the_hub(tmp_path: Path) -> None:
    asks = ["-m", "tutelage", "tune", "--data", "hub:owner/rows", "--model", "tiny"]
    with hub(rows={"train.jsonl": TRAIN, "README.md": CARD}) as server:
        env = environment(server.address, tmp_path)
        done = ran([*asks, "-o", "online"], env, tmp_path)
        assert done.returncode == 0, done.stderr
        assert "3 rows of hub:owner/rows, train at c0ffeec0ffee (license: cc-by-4.0)" in done.stderr
        assert not [one for one in server.asked if "harness" in one or "telemetry" in one]
        asked = len(server.asked)
        again = ran([*asks, "-o", "offline", "--offline"], env, tmp_path)  # the hub would answer, and is not asked
        assert again.returncode == 0, again.stderr
        assert len(server.asked) == asked
    weights = [(tmp_path / run / "weights" / "adapter_model.safetensors").read_bytes() for run in ("online", "offline")]
    assert weights[0] == weights[1]
    tuned = read_json(tmp_path / "online" / "tuned.json")
    assert isinstance(tuned, dict)
    assert tuned["data"] == "hub:owner/rows, train at c0ffeec0ffee (license: cc-by-4.0)"


def test_what_cannot_be_fetched_is_named(tmp_path: Path) -> None:
    asked = [
        ({"hub": "owner/rows", "split": "train[:2]"}, False),
        ({"hub": "owner/rows", "split": "rehearsal"}, False),
        ({"hub": "owner/rows", "config": "german"}, False),
        ({"hub": "owner/rows", "revision": "v9"}, False),
        ({"hub": "owner/none"}, False),
        ({"hub": "owner/rows", "split": "train[:2]"}, True),
        ({"hub": "owner/rows"}, True),
    ]
    with hub(rows={"train.jsonl": TRAIN, "README.md": CARD}) as server:
        env = environment(server.address, tmp_path)
        done = ran(["-c", FETCH.replace("ASKED", repr(asked))], env, tmp_path)
    part, split, config, revision, name, again, absent = done.stdout.splitlines()
    assert part == again == f"['hello!', 'bye!'] hub:owner/rows, train[:2] at {COMMIT[:12]} (license: cc-by-4.0)"
    assert "rehearsal" in split
    assert "train" in split
    assert "tune.data.split" in split
    assert "german" in config
    assert "default" in config
    assert "no such revision (received v9)" in revision
    assert "no such data set on the hub" in name
    assert "owner/none" in name
    assert "not in the cache" in absent
    assert "without --offline" in absent
    gone = ran(["-c", FETCH.replace("ASKED", repr([({"hub": "owner/rows"}, False)]))], env, tmp_path)
    assert "the hub cannot be reached" in gone.stdout
    assert "--offline" in gone.stdout


def test_a_folder_arrives_whole(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    files = {"config.json": b"{}", "model.safetensors": os.urandom(20_000), "inner/notes.md": b"A card.\n"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with hub() as server:
        env = environment(server.address, tmp_path, HF_TOKEN="hf_sesame", HF_HUB_DISABLE_XET="1")
        done = ran(["-c", PUSH.replace("FOLDER", repr(str(folder)))], env, tmp_path)
        assert done.stdout.strip() == f"{server.address}/me/model", done.stderr
    assert server.pushed == {"me/model": files}
    assert server.private == {"me/model": True}
    assert server.tokens == {"Bearer hf_sesame"}
    assert "sesame" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["hub:", "hub:rows", "hub:a/b/c"])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    wanted = Tuning(recipe=None, data=name, model="tiny", out=tmp_path / "x", round=None, settings=[])
    with pytest.raises(InputErrors, match="Write hub:owner/name"):
        tune_command(wanted, quiet=True, json=False, offline=True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "path .* or hub"),
        ({"path": "a.jsonl", "hub": "a/b"}, "path .* or hub"),
        ({"path": "a.jsonl", "split": "test"}, "split: only data sets of the hub"),
        ({"hub": "no owner"}, "hub"),
    ],
)
def test_a_section_names_one_place(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DataSection(**given)


def test_a_section_is_read_as_it_is_written() -> None:
    for section in (DataSection(path="a.jsonl"), DataSection(hub="a/b", config="c", split="d", revision="e")):
        assert DataSection.model_validate_json(section.model_dump_json()) == section


def test_a_tuning_stays_with_the_commit_that_it_began_with(tmp_path: Path) -> None:
    later = "".join(json.dumps({**row, "output": "Otherwise."}) + "\n" for row in ROWS).encode()
    with hub(rows={"train.jsonl": TRAIN, "README.md": CARD}) as server:
        env = environment(server.address, tmp_path)
        script = PINNED.replace("OUT", repr(str(tmp_path / "out")))
        first = ran(["-c", script], env, tmp_path)
        server.datasets["owner/rows"]["train.jsonl"], server.commit = later, "decade" * 6 + "abcd"
        again = ran(["-c", script], env, tmp_path)
        other = ran(["-c", script.replace("/out", "/other")], env, tmp_path)
    assert first.stdout == again.stdout != other.stdout, first.stderr
    assert COMMIT[:12] in again.stdout
    assert "Otherwise." in other.stdout
