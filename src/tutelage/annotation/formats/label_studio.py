"""Label Studio's tasks (its JSON export) and labeling configuration, in both directions.

A folder with ``tasks.json`` and ``config.xml``; ``tutelage.json`` beside them has what Label Studio has no place for of
a project, ``data.tutelage`` and ``meta.tutelage`` of a task what it has none for of an item and its judgments. An
annotation has its seconds (``lead_time``) and time; of several judgments of one person the last is the annotation. Who
said it stands in the ids of the results, which Label Studio keeps (``by~annotator-1~0``): ``completed_by`` takes none
but its own members, so it is left out, and read where no id says more. Where somebody has changed an annotation in
Label Studio meanwhile, it is read as a later judgment of the same person. A task of Label Studio's keeps all it has,
predictions too, and is written again with it.

Offsets in text are counted as JavaScript does, in UTF-16 units; where a result brings the marked words, that reading
is taken which they fit.
"""

import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import JsonValue

from tutelage.annotation.bundle import Bundle, check_bundle, read_project
from tutelage.annotation.formats.label_studio_config import BEFORE, Controls, config_of, controls_of
from tutelage.annotation.formats.reading import read_each
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.views import Judgment, Project
from tutelage.errors import DataError, Problem
from tutelage.files import read_json, read_text, write_atomic, write_json
from tutelage.records import user
from tutelage.records.importers.turns import message_of
from tutelage.records.tables import Faults, shown

OWN, KEPT = "tutelage", "label_studio"
Values = dict[str, Any]


def write_label_studio(folder: Path, bundle: Bundle) -> None:
    """Write a project as Label Studio's tasks and configuration."""
    kept = bundle.project.metadata.get(KEPT)
    config = str(kept["config"]) if isinstance(kept, dict) else config_of(bundle)
    controls = _with_work(controls_of(config, str(folder)), bundle.project, folder)
    said: dict[str, list[Judgment]] = defaultdict(list)
    for one in bundle.judgments:
        said[one.item].append(one)
    dialogue = any(len(item.messages) > 1 for item in bundle.items)
    tasks = [_task(controls, item, said[item.id], dialogue=dialogue) for item in bundle.items]
    write_atomic(folder / "config.xml", config)
    write_json(folder / "tasks.json", tasks)
    write_json(folder / "tutelage.json", bundle.project.model_dump(mode="json"))


def read_label_studio(folder: Path, *, name: str | None = None) -> Bundle:
    """Read Label Studio's tasks as a project. Raises :class:`DataError` by task for what has no place here."""
    config = read_text(folder / "config.xml")
    tasks = read_json(folder / "tasks.json")
    controls = controls_of(config, str(folder / "config.xml"))
    if not isinstance(tasks, list):
        remedy = "give a folder with config.xml and tasks.json, the JSON export"
        raise DataError(str(folder), [Problem("expected a list of tasks", "tasks.json", shown(tasks), remedy)])
    own = folder / "tutelage.json"
    if own.exists():
        project = read_project(own)
        controls = _with_work(controls, project, folder)
    else:
        most = max((len(one.get("annotations") or []) for one in tasks if isinstance(one, dict)), default=1)
        kept: dict[str, JsonValue] = {KEPT: {"config": config}}
        project = Project(name=folder.name, work=controls.work, overlap=max(1, most), metadata=kept)
    if name is not None:
        project = project.model_copy(update={"name": name})

    def read(task: Values) -> tuple[WorkItem, list[Judgment]]:
        item = _item(controls, task)
        return item, _judgments(controls, item, task)

    place = f"{folder / 'tasks.json'}: task"
    items, judgments = read_each(tasks, read, faults=Faults(folder), place=place, what="a task of Label Studio")
    bundle = Bundle(project=project, items=items, judgments=judgments)
    check_bundle(bundle, str(folder))
    return bundle


def _task(controls: Controls, item: WorkItem, judgments: list[Judgment], *, dialogue: bool) -> Values:
    kept = item.metadata.get(KEPT)
    if isinstance(kept, dict):
        task: Values = dict(kept)
    else:
        data: Values = {"question": item.marked("question"), OWN: item.to_json()}
        data |= {BEFORE: _turns_before(item)} if dialogue else {}
        data |= {f"answer_{at}": answer.text for at, answer in enumerate(item.answers, start=1)}
        task = {"data": data, "predictions": []}
    last = {one.annotator: one for one in judgments}
    annotations = []
    for who, one in last.items():
        at = datetime.fromtimestamp(one.created_at, UTC).isoformat()
        results = _signed(controls.results_of(item, one.response), who)
        made: Values = {"was_cancelled": False, "ground_truth": one.role == "adjudicator", "result": results}
        annotations.append({**made, "lead_time": one.seconds, "created_at": at})
    task["annotations"] = annotations
    if judgments:
        told = [one.model_dump(mode="json") for one in judgments]
        task["meta"] = {**(task.get("meta") or {}), OWN: told}
    return task


def _item(controls: Controls, task: Values) -> WorkItem:
    data: Values = task["data"]
    if OWN in data:
        return WorkItem.from_json(data[OWN])
    question = data.get(controls.question)
    if isinstance(question, list):
        messages = tuple(
            message_of({"role": one.get("author") or one.get("role"), "content": one.get("text")}, f"data.{at}")
            for at, one in enumerate(question)
        )
    else:
        messages = (user(str(question or "")),)
    answers = tuple(Candidate(key=key, text=str(data[field])) for key, field in controls.answers.items())
    kept: dict[str, JsonValue] = {key: value for key, value in task.items() if key != "annotations"}
    if isinstance(kept.get("meta"), dict):
        kept["meta"] = {key: value for key, value in task["meta"].items() if key != OWN}
    return WorkItem.model_validate(
        {"id": str(task.get("id", "")), "messages": messages, "answers": answers, "metadata": {KEPT: kept}}
    )


def _judgments(controls: Controls, item: WorkItem, task: Values) -> list[Judgment]:
    told = (task.get("meta") or {}).get(OWN) or []
    copies: dict[str, list[Judgment]] = defaultdict(list)
    for one in told:
        copies[one["annotator"]].append(Judgment.model_validate(one))
    found: dict[str, list[Judgment]] = {}
    for one in sorted(task.get("annotations") or [], key=lambda one: str(one.get("created_at") or "")):
        if one.get("was_cancelled") or not one.get("result"):
            continue
        who = _writer(one)
        mine = found.setdefault(who, [*copies.get(who, [])])
        response = controls.response_of(item, one["result"])
        if mine and controls.results_of(item, mine[-1].response) == controls.results_of(item, response):
            continue
        mine.append(
            Judgment(
                item=item.id,
                annotator=who,
                number=len(mine) + 1,
                response=response,
                role=mine[-1].role if mine else "annotator",
                seconds=one.get("lead_time"),
                created_at=max([_time(one), *(earlier.created_at for earlier in mine)]),
            )
        )
    if not task.get("annotations") and copies:
        raise DataError("annotations", [Problem("they were removed, and what was said stands in meta", "annotations")])
    return [one for mine in found.values() for one in mine]


def _with_work(controls: Controls, project: Project, folder: Path) -> Controls:
    if controls.work.kind != project.work.kind:
        remedy = "take the changes back, or remove tutelage.json to read it as a new project"
        problem = Problem(
            "the configuration asks something else than the project", "config.xml", controls.work.kind, remedy
        )
        raise DataError(str(folder), [problem])
    return replace(controls, work=project.work)


def _signed(results: list[Values], who: str) -> list[Values]:
    """Results with ids that say who wrote them; those of one region keep one id."""
    ids = [str(one.get("id", f"value-{at}")) for at, one in enumerate(results)]
    places = {name: at for at, name in enumerate(dict.fromkeys(ids))}
    signs = [f"by~{quote(who, safe='')}~{places[name]}" for name in ids]
    return [{**one, "id": sign} for one, sign in zip(results, signs, strict=True)]


def _writer(annotation: Values) -> str:
    """Who wrote an annotation: whom the ids of its results name, else the member of Label Studio."""
    for one in annotation["result"]:
        if signed := _SIGN.fullmatch(str(one.get("id", ""))):
            return unquote(signed[1])
    by = annotation.get("completed_by")
    by = by.get("id") if isinstance(by, dict) else by
    return "unknown" if by is None else str(by)


_SIGN = re.compile(r"by~(.+)~\d+")


def _time(annotation: Values) -> float:
    """When an annotation became what it is, in seconds since 1970; 0 if that is not known."""
    at = annotation.get("updated_at") or annotation.get("created_at")
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() if at else 0.0


def _turns_before(item: WorkItem) -> str:
    """The turns before the question, with who says them."""
    last = max((at for at, one in enumerate(item.messages) if one.role == "user"), default=0)
    return "\n\n".join(f"{one.role}: {one.text}" for at, one in enumerate(item.messages) if at != last)
