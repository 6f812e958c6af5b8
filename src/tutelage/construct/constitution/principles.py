"""Principles: those of the package by domain, or a file of a user's own."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from tutelage.errors import DataError, Problem
from tutelage.files import storage
from tutelage.recipe.sources import ConstitutionSource
from tutelage.records import Record, content_id
from tutelage.records.jsonl import problems_of
from tutelage.seeds import stream

DOMAINS = "domains"
KEY = "principles"


class Principle(Record):
    """What answers are to be like, what is asked of one to find where it is not, and how it is put right."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$")
    principle: str = Field(pattern=r"\S")
    critique: str = Field(pattern=r"\S")
    revision: str = Field(pattern=r"\S")

    @property
    def text(self) -> str:
        """All its words."""
        return f"{self.principle} {self.critique} {self.revision}"

    @property
    def version(self) -> str:
        """Its name with a mark of its text, for lineage: ``doses@1f2e3d4c5b6a7988``."""
        return f"{self.id}@{content_id(self.text)}"


def principles_of(section: ConstitutionSource, base: Path) -> tuple[Principle, ...]:
    """Return the principles of a section; ``base`` is what its file is relative to.

    Raises :class:`DataError` with every fault of the file, or where there are fewer than ``revisions`` of them, and
    :class:`StorageError`.
    """
    if section.principles is None:
        where = f"{section.domain}.yaml"
        text = (files("tutelage.construct.constitution") / DOMAINS / where).read_text(encoding="utf-8")
    else:
        where = section.principles
        with storage(base / where, "read the file"):
            data = (base / where).read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(KEY, [Problem("expected UTF-8 text", where, remedy="save the file as UTF-8")]) from error
    found = parse_principles(text, where)
    if len(found) < section.revisions:
        what = f"each of {section.revisions} revisions takes another principle, and there are {len(found)}"
        raise DataError(KEY, [Problem(what, where, remedy="lower revisions, or write more principles")])
    return found


def parse_principles(text: str, where: str) -> tuple[Principle, ...]:
    """Return the principles in a YAML text, a list of {id, principle, critique, revision}.

    Raises :class:`DataError` with all faults; ``where`` is the file's name in them.
    """
    form = "write a YAML list of {id, principle, critique, revision}"
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise DataError(KEY, [Problem("not valid YAML", where, said[:200], form)]) from error
    if not isinstance(tree, list) or not tree:
        raise DataError(KEY, [Problem("expected a list of principles", where, type(tree).__name__, form)])
    found: dict[str, Principle] = {}
    problems: list[Problem] = []
    for number, entry in enumerate(tree, 1):
        place = f"{where}, principle {number}"
        if not isinstance(entry, dict):
            problems.append(Problem("expected a principle", place, repr(entry)[:60], form))
            continue
        try:
            principle = Principle.model_validate(entry)
        except ValidationError as error:
            problems += problems_of(error, Principle, place)
            continue
        if principle.id in found:
            problems.append(Problem("two principles have one id", place, principle.id, "give each its own"))
        found[principle.id] = principle
    if problems:
        raise DataError(KEY, problems)
    return tuple(found.values())


def draw(principles: Sequence[Principle], number: int, *, seed: int, item: str) -> list[Principle]:
    """Return ``number`` different principles for an item, in a random order."""
    return stream(seed, "principles", item).sample(list(principles), number)
