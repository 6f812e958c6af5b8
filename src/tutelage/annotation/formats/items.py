"""Questions and answers of people's own files as items: any form of the importers, and lists of answers.

| work | a row is |
|---|---|
| write, label, spans of the question | a question in any form; an answer that is there is not read |
| correct, rate, spans of the answer | an example in any form: its last answer is what is judged |
| choose | a question with ``chosen`` and ``rejected``, or with ``answers`` |
| rank | a question with ``answers``: a list of texts, or of ``{"key", "text", "author"}`` |

A row may have an ``id``; without one it gets that of its content. ``author`` says who wrote the answers. Of ``chosen``
and ``rejected`` nobody who is asked can tell which is which: the order is drawn from the id, the keys are ``a`` and
``b``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.work import SpansWork, Work
from tutelage.records import Lineage, content_id
from tutelage.records.importers import RowFault
from tutelage.records.importers.examples import LABELS, conversation_of
from tutelage.records.importers.preferences import pair_of
from tutelage.records.importers.prompts import prompt_of
from tutelage.records.importers.reading import convert_rows, labels_of, plain
from tutelage.records.importers.turns import text_of
from tutelage.seeds import stream

Values = Mapping[str, JsonValue]
KEYS = "abcdefghijklmnopqrstuvwxyz"
NOBODY = Lineage(paradigm="expert", source="annotation", author="")


def read_items(path: Path, work: Work) -> list[WorkItem]:
    """Return the rows of a file as items for a kind of work.

    Raises :class:`DataError` with every fault of the file, each by file, line and key; :class:`StorageError`.
    """
    return list(convert_rows(path, lambda values: _item(values, work), WorkItem))


def _item(values: Values, work: Work) -> WorkItem:
    judged = work.kind in ("correct", "rate") or (isinstance(work, SpansWork) and work.of == "answer")
    given = values.get("answers") not in (None, "")
    if given:
        messages, answers = prompt_of({**values, "answers": None}).messages, _answers(values)
    elif work.kind in ("choose", "rank"):
        if values.get("chosen") is None or values.get("rejected") is None:
            what = f"work of kind {work.kind} needs answers"
            raise RowFault("", what, sorted(values), "give answers (a list), or chosen and rejected")
        pair = pair_of(values, NOBODY)
        messages, answers = pair.prompt, [Candidate(key="", text=one.text) for one in (pair.chosen, pair.rejected)]
    elif judged:
        turns = conversation_of(values)
        messages, answers = turns[:-1], [Candidate(key="", text=turns[-1].text, author=text_of(values, "author"))]
    else:
        messages, answers = prompt_of(values).messages, []
    own = values.get("id")
    name = str(own) if own not in (None, "") else content_id(plain(messages), [one.text for one in answers])
    if not given and len(answers) > 1:
        stream(0, "order", name).shuffle(answers)
    keyed = [one if one.key else one.model_copy(update={"key": KEYS[at]}) for at, one in enumerate(answers)]
    metadata = values.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise RowFault("metadata", "expected an object", metadata, "leave it out, or write {...}")
    return WorkItem.model_validate(
        {
            "id": name,
            "messages": messages,
            "answers": keyed,
            "metadata": metadata or {},
            **labels_of(values, LABELS),
        }
    )


def _answers(values: Values) -> list[Candidate]:
    value = values["answers"]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise RowFault("answers", f"expected a list as JSON: {error}", value) from error
    if not isinstance(value, list) or not 0 < len(value) <= len(KEYS):
        raise RowFault("answers", f"expected a list of 1 to {len(KEYS)} answers", value)
    found = []
    for at, one in enumerate(value):
        one = {"text": one} if isinstance(one, str) else one
        if not isinstance(one, dict) or not isinstance(one.get("text"), str) or not str(one["text"]).strip():
            raise RowFault(f"answers.{at}", "expected a text that is not empty, or an object with one", one)
        found.append(Candidate(key=text_of(one, "key"), text=str(one["text"]), author=text_of(one, "author")))
    return found
