"""What people like better: of two answers to a prompt, or one answer that they want or do not want."""

import math
from pathlib import Path

from pydantic import JsonValue

from tutelage.records.base import RowKind, content_id
from tutelage.records.examples import Preference, UnpairedPreference
from tutelage.records.importers.examples import conversation_of, form_of
from tutelage.records.importers.reading import convert_rows, labels_of, plain, unknown_form
from tutelage.records.importers.turns import (
    Raw,
    RowFault,
    Values,
    alpaca_question,
    check_answer,
    message_of,
    sharegpt_turn,
    turns_of,
    turns_or_text,
    with_system,
)
from tutelage.records.lineage import Lineage
from tutelage.records.messages import Conversation
from tutelage.records.tables import read_rows

LABELS = ("task", "dimension", "level")
WANTED = frozenset({"true", "1", "yes"})
UNWANTED = frozenset({"false", "0", "no"})


def kind_of(path: Path | str) -> RowKind:
    """Return the kind of rows that a file holds, by the keys of its first. Raises :class:`DataError`."""
    return kind_of_row(read_rows(Path(path))[0].values)


def kind_of_row(first: Values) -> RowKind:
    """Return the kind of rows that a file holds whose first row has these values."""
    keys = {key for key, value in first.items() if value is not None}
    if {"chosen", "rejected"} <= keys:
        return "pairs"
    says = str(first.get("label")).strip().lower() in WANTED | UNWANTED
    return "unpaired" if says and form_of(first) in {"messages", "sharegpt", "alpaca", "prompt"} else "examples"


def import_preferences(path: Path | str, *, author: str) -> list[Preference]:
    """Return the rows of a file as pairs of answers; ``author`` is who preferred the one to the other.

    Raises
    ------
    DataError: with every fault of the file, each by file, line and key. StorageError: the file cannot be read.
    """
    lineage = Lineage(paradigm="expert", source="preferences", author=author)
    return list(convert_rows(path, lambda values: pair_of(values, lineage), Preference))


def import_unpaired(path: Path | str, *, author: str) -> list[UnpairedPreference]:
    """Return the rows of a file as answers that are wanted or not; a pair counts as one of each.

    Raises
    ------
    DataError: with every fault of the file, each by file, line and key. StorageError: the file cannot be read.
    """
    if kind_of(path) == "pairs":
        return [one for pair in import_preferences(path, author=author) for one in unpaired(pair)]
    lineage = Lineage(paradigm="expert", source="unpaired", author=author)
    return list(convert_rows(path, lambda values: unpaired_of(values, lineage), UnpairedPreference))


def unpaired(pair: Preference) -> tuple[UnpairedPreference, UnpairedPreference]:
    """Return the chosen answer as one that is wanted and the rejected one as one that is not."""
    chosen, rejected = (
        UnpairedPreference(
            id=content_id("unpaired", pair.id, wanted),
            prompt=pair.prompt,
            answer=answer,
            wanted=wanted,
            lineage=pair.lineage,
            task=pair.task,
            dimension=pair.dimension,
            level=pair.level,
        )
        for answer, wanted in ((pair.chosen, True), (pair.rejected, False))
    )
    return chosen, rejected


def pair_of(values: Values, lineage: Lineage) -> Preference:
    """Return the pair of a row. Raises :class:`RowFault`."""
    if "lineage" in values:
        return Preference.model_validate(values)
    for key in ("chosen", "rejected"):
        if values.get(key) is None:
            raise RowFault(key, "the answer is missing", remedy="a pair has chosen and rejected")
    prompt, chosen, rejected = _prompt_of(values), _answer(values, "chosen"), _answer(values, "rejected")
    if prompt is None:
        prompt, chosen, rejected = _split(chosen, rejected)
    elif len(chosen) > 1 and len(rejected) > 1:
        whole, first, second = _split(chosen, rejected)
        if whole[-len(prompt) :] == prompt:  # some files give the question thrice
            prompt, chosen, rejected = whole, first, second
    for key, answer in (("chosen", chosen), ("rejected", rejected)):
        if len(answer) != 1:
            raise RowFault(key, "expected one answer", f"{len(answer)} turns", "leave the question to prompt")
        check_answer(answer[0], key)
    if not any(message.role == "user" for message in prompt):
        raise RowFault("prompt", "no turn of a user")
    if prompt[-1].role == "assistant":
        raise RowFault("prompt", "the question ends in an answer", remedy="end it with what the user asked")
    if chosen == rejected:
        raise RowFault("rejected", "both answers are the same", remedy="remove the row")
    return Preference.model_validate(
        {
            "id": content_id("preference", lineage.author, plain(prompt), plain(chosen), plain(rejected)),
            "prompt": prompt,
            "chosen": chosen[0],
            "rejected": rejected[0],
            "lineage": lineage,
            "margin": _margin(values.get("margin")),
            **labels_of(values, LABELS),
        }
    )


def _margin(value: JsonValue) -> float:
    """The number of a cell, which may be a text; 0 where there is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return 0.0
    try:
        found = math.nan if isinstance(value, bool | list | dict) else float(value)
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise RowFault("margin", "expected a number", value, "leave it out where it is not known")
    return found


def _prompt_of(values: Values) -> Conversation | None:
    """The question of a pair; None: the answers bring it along."""
    turns: list[Raw]
    if values.get("prompt") is not None:
        key = "prompt"
        turns = turns_or_text(values, key, "user")
    elif values.get("messages") is not None:
        key = "messages"
        turns = turns_of(values, key)
    elif values.get("conversations") is not None:
        key = "conversations"
        turns = [sharegpt_turn(turn, f"{key}.{place}") for place, turn in enumerate(turns_of(values, key))]
    elif values.get("instruction") is not None:
        key, turns = "instruction", [alpaca_question(values)]
    else:
        return None
    return tuple(message_of(turn, f"{key}.{place}") for place, turn in enumerate(with_system(turns, values)))


def _answer(values: Values, key: str) -> Conversation:
    """The turns of ``chosen`` or ``rejected``."""
    turns = turns_or_text(values, key, "assistant")
    alone = len(turns) == 1
    return tuple(message_of(turn, key if alone else f"{key}.{place}") for place, turn in enumerate(turns))


def _split(chosen: Conversation, rejected: Conversation) -> tuple[Conversation, Conversation, Conversation]:
    """What two conversations begin with alike, and how each goes on."""
    if len(chosen) < 2 or chosen[:-1] != rejected[:-1]:
        raise RowFault(
            "",
            "chosen and rejected are no answers to the same question",
            remedy="give the question as prompt, or two conversations that differ in the last turn alone",
        )
    return chosen[:-1], chosen[-1:], rejected[-1:]


def unpaired_of(values: Values, lineage: Lineage) -> UnpairedPreference:
    """Return the answer of a row that is wanted or not. Raises :class:`RowFault`."""
    if "lineage" in values:
        return UnpairedPreference.model_validate(values)
    if form_of(values) is None:
        raise unknown_form(values, "messages, conversations, instruction + output, prompt + completion; and label")
    messages = conversation_of(values)
    wanted = _wanted(values.get("label"))
    return UnpairedPreference.model_validate(
        {
            "id": content_id("unpaired", lineage.author, plain(messages), wanted),
            "prompt": messages[:-1],
            "answer": messages[-1],
            "wanted": wanted,
            "lineage": lineage,
            **labels_of(values, LABELS),
        }
    )


def _wanted(value: JsonValue) -> bool:
    said = str(value).strip().lower()
    if said not in WANTED | UNWANTED:
        raise RowFault("label", "expected true or false", value, "true for an answer that is wanted")
    return said in WANTED
