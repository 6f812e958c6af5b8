"""The generated reference is fresh, and what the documents name exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tutelage.cli.app import app

ROOT = Path(__file__).parents[2]
GENERATE = ROOT / "docs" / "generate.py"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_reference_is_fresh() -> None:
    done = subprocess.run([sys.executable, str(GENERATE), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_stale_reference_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "generate.py"
    for file in GENERATE.parent.glob("*.py"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "cli.md").write_text("old")
    stale = subprocess.run([sys.executable, str(copy), "--check"], capture_output=True, text=True)
    assert stale.returncode == 1
    assert "cli.md" in stale.stderr
    assert "recipe.md" in stale.stderr
    assert (tmp_path / "reference" / "cli.md").read_text() == "old"


def test_every_link_inside_the_reference_leads_somewhere() -> None:
    text = (ROOT / "docs" / "reference" / "recipe.md").read_text(encoding="utf-8")
    headings = {heading.lower() for heading in re.findall(r"^## (\w+)$", text, flags=re.MULTILINE)}
    links = set(re.findall(r"\]\(#(\w+)\)", text))
    assert links
    assert links <= headings


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_documents_name_only_commands_that_exist(document: Path) -> None:
    command = get_command(app)
    known = set(getattr(command, "commands", {}))
    named = set(re.findall(r"^ *(?:\$ )?tutelage (?!-)(\w[\w-]*)", document.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= known, f"{document}: {named - known}"
