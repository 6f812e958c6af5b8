"""Items of a public benchmark, as texts that no training row may contain: the columns that such files usually have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from tutelage.errors import Problem
from tutelage.records.importers.turns import Values
from tutelage.records.tables import Faults, Row, read_rows, shown

QUESTIONS = (
    "question", "question_stem", "prompt", "problem", "query", "goal", "sentence", "ctx", "text", "turns",
)  # fmt: skip
CONTEXTS = ("passage", "context", "article", "story", "support", "premise", "hypothesis")
ANSWERS = (
    "answer", "answers", "solution", "canonical_solution", "output", "target", "completion", "response", "reference",
    "code", "best_answer", "correct_answer", "correct_answers", "rationale",
)  # fmt: skip
CHOICES = ("choices", "options", "endings", "sol1", "sol2", "option1", "option2")
WRONG = ("incorrect_answers",)
IDS = ("id", "task_id", "question_id", "key", "uid", "qid")
TURNS = {"messages": ("role", "content"), "conversations": ("from", "value")}
ASKERS = {"user", "human"}
LETTERS = frozenset("abcdefghij")
KNOWN = "question, prompt, problem, query, instruction (and input), messages or conversations"


@dataclass(frozen=True, slots=True)
class BenchmarkItem:
    """One item: what it asks, the texts it is about, its answers, and the choices between which it asks.

    ``id`` is the file's own, else ``line 12``. Any of ``answers`` answers it; a letter or a place in the list of
    choices is no answer here. ``wrong`` answers are its own texts, but it does not ask between them.
    """

    id: str
    questions: tuple[str, ...]
    contexts: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The items of one file under the name that reports call it by."""

    name: str
    items: tuple[BenchmarkItem, ...]


def read_benchmark(path: Path | str, *, name: str, keys: Sequence[str] = ()) -> Benchmark:
    """Return the items of a file or folder that :func:`tutelage.records.tables.read_rows` reads.

    ``keys`` are the columns whose texts may not be learned; without them the usual ones are looked for: a question
    (``question``, ``prompt``, ``problem``, ``instruction`` with ``input``, turns, ...), its passage, answers and
    choices.

    Raises
    ------
    DataError: with every fault of the file: no JSON, no question in a row, a column that is not there.
    StorageError: the file cannot be read.
    """
    path = Path(path)
    faults = Faults(path)
    items = []
    for row in read_rows(path):
        own = _id(row, path.is_dir())
        item = _stated(row, keys, own) if keys else _detected(row, own)
        if item.questions:
            items.append(item)
            continue
        received = ", ".join(sorted(row.values))
        what = f"no text under {', '.join(keys)}" if keys else "no column that is known as a question"
        remedy = "name columns that have one" if keys else f"name the columns (keys), or call it {KNOWN}"
        faults.add(Problem(what, row.where, shown(received), remedy))
    faults.raise_if_any()
    return Benchmark(name, tuple(items))


def _stated(row: Row, keys: Sequence[str], id: str) -> BenchmarkItem:
    return BenchmarkItem(id, tuple(text for key in keys for text in _texts(row.values.get(key))))


def _detected(row: Row, id: str) -> BenchmarkItem:
    parts = list(_instances(row.values))
    answers = [text for part in parts for text in _under(part, ANSWERS)]
    choices = [text for part in parts for text in _under(part, CHOICES)]
    said = list(_said(row.values))
    questions = [*(text for part in parts for text in _asked(part)), *(text for asks, text in said if asks)]
    answers += [text for asks, text in said if not asks]
    if choices:
        # "B", "(b)" and "1" name a choice; the choice itself is what is known.
        answers = [text for text in answers if not _names_a_choice(text, len(choices))]
    else:
        answers += [text for part in parts for key in ANSWERS for text in _numbers(part.get(key))]
    return BenchmarkItem(
        id,
        tuple(dict.fromkeys(questions)),
        tuple(text for part in parts for text in _under(part, CONTEXTS)),
        tuple(dict.fromkeys(answers)),
        tuple(dict.fromkeys(choices)),
        tuple(dict.fromkeys(text for part in parts for text in _under(part, WRONG))),
    )


def _names_a_choice(text: str, choices: int) -> bool:
    bare = text.strip().strip("().:").casefold()
    return bare in LETTERS or (bare.isdecimal() and int(bare) <= choices)


def _numbers(value: JsonValue) -> Iterator[str]:
    """An answer that is a number, as it would be written; deeper ones are places in a text and the like."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, int | float) and not isinstance(one, bool):
            yield str(int(one)) if isinstance(one, float) and one.is_integer() else str(one)


def _instances(values: Values) -> Iterator[Values]:
    """The row, or as many as it has ``instances`` (seed tasks: one instruction, several inputs with outputs)."""
    instances = values.get("instances")
    found = [one for one in instances if isinstance(one, dict)] if isinstance(instances, list) else []
    rest = {key: value for key, value in values.items() if key != "instances"}
    yield from ({**rest, **one} for one in found) if found else (rest,)


def _asked(values: Values) -> Iterator[str]:
    instruction, given = (" ".join(_texts(values.get(key))) for key in ("instruction", "input"))
    if instruction.strip() or given.strip():
        yield f"{instruction}\n\n{given}".strip()
    yield from _under(values, QUESTIONS)


def _said(values: Values) -> Iterator[tuple[bool, str]]:
    """The turns of a conversation: whether the user says it, and what. What a system turn says is no item's own."""
    for key, (role, content) in TURNS.items():
        turns = values.get(key)
        for turn in turns if isinstance(turns, list) else ():
            if isinstance(turn, dict) and str(turn.get(role)).lower() != "system":
                for text in _texts(turn.get(content)):
                    yield str(turn.get(role)).lower() in ASKERS, text


def _under(values: Values, keys: Sequence[str]) -> list[str]:
    return [text for key in keys for text in _texts(values.get(key))]


def _texts(value: JsonValue) -> Iterator[str]:
    """Every text in a cell, however deep; labels of choices, numbers and the like are none."""
    match value:
        case str() if value.strip():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case Mapping():
            for key, one in value.items():
                if key not in {"label", "labels", "type", "kind", "role"}:
                    yield from _texts(one)
        case _:
            return


def _id(row: Row, folder: bool) -> str:
    """The item's own id; else its line, in a folder with its file."""
    found = next((row.values[key] for key in IDS if isinstance(row.values.get(key), str | int)), None)
    line = f"{row.file.name} line {row.line}" if folder else f"line {row.line}"
    return line if found in (None, "") else str(found)
