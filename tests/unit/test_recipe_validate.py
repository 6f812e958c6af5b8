"""``tutelage recipe validate`` reads rows as the objective does, of whichever kind."""

import json
from pathlib import Path

import pytest

from tutelage.cli import main

ROWS = {
    "examples": {"prompt": "Say it", "completion": "It is said."},
    "pairs": {"prompt": "Say it", "chosen": "It is said.", "rejected": "No."},
    "unpaired": {"prompt": "Say it", "completion": "It is said.", "label": True},
}
OBJECTIVES = {"sft": "examples", "dpo": "pairs", "reward": "pairs", "kto": "unpaired"}


def validate(objective: str, kind: str, place: Path) -> int:
    (place / "rows.jsonl").write_text((json.dumps(ROWS[kind]) + "\n") * 3)
    (place / "own.yaml").write_text(
        f"name: own\nmodel: {{id: tiny}}\ntune: {{data: {{path: rows.jsonl}}, objective: {{kind: {objective}}}}}\n"
    )
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tutelage", "recipe", "validate", str(tmp_path / "own.yaml")])


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_the_kind_are_valid_and_others_are_named(
    objective: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = validate(objective, kind, tmp_path)
    said = capsys.readouterr()
    wanted = OBJECTIVES[objective]
    if kind == wanted or (wanted, kind) == ("unpaired", "pairs"):
        assert code == 0, said.err
        assert f"{6 if kind != wanted else 3} rows of rows.jsonl" in said.out
    else:
        assert code == 2
        assert f"the objective learns from {wanted} (received {kind})" in said.err


@pytest.mark.usefixtures("command")
def test_faults_of_pairs_are_named_by_their_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty = {"prompt": "Say it", "chosen": "It is said."}
    (tmp_path / "own.yaml").write_text(
        "name: own\nmodel: {id: tiny}\ntune: {data: {path: rows.jsonl}, objective: {kind: dpo}}\n"
    )
    lines = [json.dumps(ROWS["pairs"]), json.dumps(faulty)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "rows.jsonl:2" in capsys.readouterr().err


@pytest.mark.usefixtures("command")
def test_a_package_that_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tutelage.models.four_bit.find_spec", lambda name: None)
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROWS["examples"]) + "\n")
    (tmp_path / "own.yaml").write_text(
        "name: own\nmodel: {id: tiny}\ntune: {data: {path: rows.jsonl}, method: {kind: qlora}}\n"
    )
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 8
    assert "bitsandbytes" in capsys.readouterr().err
