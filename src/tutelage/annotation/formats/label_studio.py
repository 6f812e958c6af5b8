"""Label Studio's tasks (its JSON export) and labeling configuration, in both directions.

A folder with ``tasks.json`` and ``config.xml``; ``tutelage.json`` beside them has what Label Studio has no place for of
a project, ``data.tutelage`` and ``meta.tutelage`` of a task what it has none for of an item and its judgments. An
annotation has its writer (``completed_by``), its seconds (``lead_time``) and time; of several judgments of one person
the last is the annotation. Where somebody has changed an annotation in Label Studio meanwhile, it is read as a later
judgment of the same person. A task of Label Studio's keeps all it has, predictions too, and is written again with it.

Offsets in text are counted as JavaScript does, in UTF-16 units; where a result brings the marked words, that reading
is taken which they fit.
"""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from tutelage.annotation.bundle import Bundle, check_bundle, read_project
from tutelage.annotation.formats.label_studio_config import Controls, config_of, controls_of
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.views import Judgment, Project
from tutelage.errors import DataError, Problem
from tutelage.files import read_json, read_text, write_atomic, write_json
from tutelage.records import user
from tutelage.records.importers.turns import RowFault, message_of
from tutelage.records.tables import shown

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
    people = {name: at for at, name in enumerate(bundle.roles(), start=1)}
    tasks = [_task(controls, item, said[item.id], people) for item in bundle.items]
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
    problems: list[Problem] = []
    items, judgments = [], []
    for at, task in enumerate(tasks):
        where = f"{folder / 'tasks.json'}: task {at}"
        try:
            item = _item(controls, task)
            items.append(item)
            judgments += _judgments(controls, item, task)
        except ValidationError as error:
            problems += [Problem(detail["msg"], where, shown(detail["input"])) for detail in error.errors()]
        except DataError as error:
            problems += [Problem(one.what, f"{where}: {one.where}", one.received, one.remedy) for one in error.problems]
        except RowFault as fault:
            problems.append(Problem(fault.what, f"{where}: {fault.key}", shown(fault.received), fault.remedy))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            problems.append(Problem(f"not a task of Label Studio ({error!r})", where, shown(task)))
    if problems:
        raise DataError(str(folder), problems[:20])
    bundle = Bundle(project=project, items=tuple(items), judgments=tuple(judgments))
    check_bundle(bundle, str(folder))
    return bundle


def _task(controls: Controls, item: WorkItem, judgments: list[Judgment], people: dict[str, int]) -> Values:
    kept = item.metadata.get(KEPT)
    if isinstance(kept, dict):
        task: Values = dict(kept)
    else:
        data: Values = {"question": _dialogue(item), OWN: item.to_json()}
        data |= {f"answer_{at}": answer.text for at, answer in enumerate(item.answers, start=1)}
        task = {"data": data, "predictions": []}
    last = {one.annotator: one for one in judgments}
    annotations = []
    for who, one in last.items():
        at = datetime.fromtimestamp(one.created_at, UTC).isoformat()
        made: Values = {"completed_by": int(who) if who.isdigit() else people[who], "was_cancelled": False}
        made |= {"ground_truth": one.role == "adjudicator", "result": controls.results_of(item, one.response)}
        annotations.append({**made, "lead_time": one.seconds, "created_at": at})
    task["annotations"] = annotations
    if judgments:
        told = [{**one.model_dump(mode="json"), "by": people[one.annotator]} for one in judgments]
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
    copies: dict[int, list[Judgment]] = defaultdict(list)
    for one in told:
        copies[one["by"]].append(Judgment.model_validate({key: value for key, value in one.items() if key != "by"}))
    found: dict[object, list[Judgment]] = {}
    for one in sorted(task.get("annotations") or [], key=lambda one: str(one.get("created_at") or "")):
        if one.get("was_cancelled") or not one.get("result"):
            continue
        by = one.get("completed_by")
        by = by.get("id") if isinstance(by, dict) else by
        mine = found.setdefault(by, list(copies.get(by, [])) if isinstance(by, int) else [])
        response = controls.response_of(item, one["result"])
        if mine and controls.results_of(item, mine[-1].response) == controls.results_of(item, response):
            continue
        who = mine[-1].annotator if mine else str(by if by is not None else "unknown")
        role = mine[-1].role if mine else "annotator"
        at = one.get("created_at")
        mine.append(
            Judgment(
                item=item.id,
                annotator=who,
                number=len(mine) + 1,
                response=response,
                role=role,
                seconds=one.get("lead_time"),
                created_at=datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() if at else 0.0,
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


def _dialogue(item: WorkItem) -> str:
    """What is shown: the question, or all turns with who says them."""
    if len(item.messages) == 1:
        return item.messages[0].text
    return "\n\n".join(f"{one.role}: {one.text}" for one in item.messages)
