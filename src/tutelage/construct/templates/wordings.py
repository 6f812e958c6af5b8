"""A file of templates: a YAML list of {name, prompt, answer}, both in sandboxed Jinja."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml
from jinja2 import meta, nodes
from pydantic import Field, ValidationError

from tutelage.construct.templates.sandbox import FAULTS, Bounded, told
from tutelage.errors import DataError, Problem
from tutelage.files import storage
from tutelage.records import Record
from tutelage.records.jsonl import problems_of
from tutelage.records.tables import shown

FORM = "write a YAML list of {name, prompt, answer}"
OF_LABEL = ("label",)
OF_OPTIONS = ("options", "choices", "letters", "letter")
ENVIRONMENT = Bounded()


class Written(Record):
    """A template as its file has it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$")
    prompt: str = Field(pattern=r"\S")
    answer: str = Field(pattern=r"\S")


@dataclass(frozen=True, slots=True)
class Wording:
    """A template: its name, the two texts, and the variables that they use (columns, and what is made of the label)."""

    name: str
    prompt: jinja2.Template
    answer: jinja2.Template
    uses: frozenset[str]

    @property
    def needs_options(self) -> bool:
        """Whether it offers the options."""
        return bool(self.uses & set(OF_OPTIONS))


def read_wordings(path: Path, *, columns: Collection[str], labelled: bool, held_out: Sequence[str]) -> list[Wording]:
    """Return the templates of a file, of which ``held_out`` must be some and not all.

    ``columns`` are those of the data set; ``labelled``: there is a label, and so are the variables made of it.

    Raises
    ------
    DataError: with every fault: no YAML, a template that cannot be parsed, each variable that is no column with its
    line, two of one name, a name to hold out that is none. StorageError: the file cannot be read.
    """
    with storage(path, "read the file"):
        data = path.read_bytes()
    try:
        root = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise DataError(str(path), [Problem("expected UTF-8 text", remedy="save the file as UTF-8")]) from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise DataError(str(path), [Problem("not valid YAML", received=said[:200], remedy=FORM)]) from error
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        raise DataError(str(path), [Problem("expected a list of templates", remedy=FORM)])
    known = {*columns, *((*OF_LABEL, *OF_OPTIONS) if labelled else ())}
    problems: list[Problem] = []
    found: dict[str, Wording] = {}
    names: set[str] = set()
    for node in root.value:
        where = f"line {node.start_mark.line + 1}"
        try:
            written = Written.model_validate(_plain(node))
        except RecursionError:
            problems.append(Problem("an alias holds itself", where, remedy=FORM))
            continue
        except ValidationError as error:
            problems += problems_of(error, Written, where)
            continue
        if written.name in names:
            problems.append(Problem("two templates have one name", where, written.name, "give each its own"))
        names.add(written.name)
        faults = [*_twice(node), *_faults(written, node, known, labelled=labelled)]
        problems += faults
        if not faults:
            found[written.name] = _wording(written, known)
    problems += _of_held_out(held_out, found) if not problems else []
    if problems:
        raise DataError(str(path), problems)
    return list(found.values())


def _plain(node: yaml.Node) -> object:
    """The values of a node; numbers and the like as they are written, so that ``answer: 1`` is a text."""
    match node:
        case yaml.MappingNode():
            return {str(key.value): _plain(value) for key, value in node.value}
        case yaml.SequenceNode():
            return [_plain(one) for one in node.value]
        case _:
            return node.value


def _wording(written: Written, known: Collection[str]) -> Wording:
    texts = (written.prompt, written.answer)
    uses = {name for text in texts for name in _variables(ENVIRONMENT.parse(text), known)}
    prompt, answer = (ENVIRONMENT.from_string(text) for text in texts)
    return Wording(written.name, prompt, answer, frozenset(uses))


def _faults(written: Written, node: yaml.Node, known: Collection[str], *, labelled: bool) -> Iterator[Problem]:
    """What is wrong in the two texts of a template, by the lines of its file."""
    used = False
    for key, text in (("prompt", written.prompt), ("answer", written.answer)):
        first = _first_line(node, key)
        place = f"{written.name}, {key}"
        try:
            tree = ENVIRONMENT.parse(text)
            ENVIRONMENT.compile(text)  # which knows the filters and tests that there are
        except FAULTS as error:
            line = error.lineno if isinstance(error, jinja2.TemplateSyntaxError) else 1
            what = f"no valid Jinja: {told(error)}"
            yield Problem(what, f"line {first + line}: {place}", remedy="write {{ column }} for a value")
            continue
        names = _variables(tree, known)
        used = used or bool(names)
        lines: dict[str, int] = {}
        for one in tree.find_all(nodes.Name):
            lines[one.name] = min(lines.get(one.name, one.lineno), one.lineno)
        for name in sorted(names - set(known)):
            why = "" if labelled or name not in (*OF_LABEL, *OF_OPTIONS) else " (and label is null)"
            what = f"there is no column of this name{why}"
            columns = ", ".join(sorted(known))
            yield Problem(what, f"line {first + lines[name]}: {place}", name, f"use {shown(columns, 200)}")
    if not used:
        yield Problem("it uses no column", f"line {node.start_mark.line + 1}: {written.name}", remedy=FORM)


def _variables(tree: nodes.Template, known: Collection[str]) -> set[str]:
    """What a template takes from outside, functions of Jinja aside that no column is called as."""
    shadowed = {name.name for name in tree.find_all(nodes.Name)} & ENVIRONMENT.globals.keys() & set(known)
    return meta.find_undeclared_variables(tree) | shadowed


def _twice(node: yaml.Node) -> Iterator[Problem]:
    """Keys that a template has twice, of which YAML would take the last."""
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            yield Problem("a key stands twice", f"line {key.start_mark.line + 1}", str(key.value), "keep one of them")
        seen.add(key.value)


def _first_line(node: yaml.Node, key: str) -> int:
    """The line of the file before the first one of a text, counted from 1."""
    value: yaml.Node = next(value for name, value in node.value if name.value == key)
    is_block = isinstance(value, yaml.ScalarNode) and value.style in ("|", ">")
    return value.start_mark.line + int(is_block)


def _of_held_out(held_out: Sequence[str], found: Collection[str]) -> Iterator[Problem]:
    for name in held_out:
        if name not in found:
            yield Problem("there is no such template to hold out", "hold_out", name, f"name some of {', '.join(found)}")
    if set(found) <= set(held_out):
        yield Problem("every template is held out", "hold_out", remedy="leave at least one to be learned")
