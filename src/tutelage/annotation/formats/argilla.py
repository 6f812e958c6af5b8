"""The folder that Argilla 2 writes and reads with ``Dataset.to_disk`` and ``from_disk``, in both directions.

``records.json`` has fields, suggestions, responses, metadata and vectors of each record, ``.argilla/settings.json`` the
fields and questions, ``.argilla/dataset.json`` the name. Argilla's responses have a user's id (a UUID) and a value, and
nothing of time, earlier versions or role. What it has no place for travels in the metadata ``tutelage`` and
``tutelage_judgments`` of each record and in ``.argilla/tutelage.json``, so that a project comes back as it was; where
somebody has changed a response in Argilla meanwhile, it is read as a later judgment of the same person. What a folder
of Argilla's has beside the questions that become work is kept with project and items, and written again.

Its spans count characters as Python does, its rankings may share ranks. It has no reasons for spans: those of marks
that are still there are kept, and a mark made there has a note in the place of one.
"""

import json
import uuid
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from tutelage.annotation.bundle import Bundle, check_bundle, read_project
from tutelage.annotation.formats.argilla_questions import (
    ANSWER,
    BEFORE,
    QUESTION,
    Plan,
    marks_question,
    plan_of,
    settings_of,
)
from tutelage.annotation.formats.reading import read_each
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import Response, Spans
from tutelage.annotation.views import Judgment, Project
from tutelage.annotation.work import SpansWork
from tutelage.errors import DataError, Problem
from tutelage.files import read_json, write_json
from tutelage.records.tables import Faults

SPACE = uuid.UUID("9b1c4c7e-1f0e-4a54-8f0b-6f6f2a1b7c55")
NO_REASON = "(none: marked in Argilla)"
OWN, OWN_JUDGMENTS, KEPT = "tutelage", "tutelage_judgments", "argilla"

Values = dict[str, Any]


def write_argilla(folder: Path, bundle: Bundle) -> None:
    """Write a project as Argilla's folder."""
    kept = bundle.project.metadata.get(KEPT)
    settings: Any = kept["settings"] if isinstance(kept, dict) else settings_of(bundle)
    plan = _plan(settings, bundle.project, folder)
    said: dict[str, list[Judgment]] = defaultdict(list)
    for one in bundle.judgments:
        said[one.item].append(one)
    records = [_record(bundle, plan, item, said[item.id]) for item in bundle.items]
    dataset: Any = kept.get("dataset") if isinstance(kept, dict) else None
    if dataset is None:
        dataset = {"name": bundle.project.name, "status": "draft", "guidelines": bundle.project.guidelines or None}
    write_json(folder / "records.json", records)
    write_json(folder / ".argilla" / "settings.json", settings)
    write_json(folder / ".argilla" / "dataset.json", dataset)
    write_json(folder / ".argilla" / "tutelage.json", bundle.project.model_dump(mode="json"))


def read_argilla(folder: Path, *, name: str | None = None) -> Bundle:
    """Read Argilla's folder as a project. Raises :class:`DataError` with what has no place here, by its place."""
    settings, records = read_json(folder / ".argilla" / "settings.json"), read_json(folder / "records.json")
    if not isinstance(settings, dict) or not isinstance(records, list):
        what = "expected an object of settings and a list of records"
        raise DataError(str(folder), [Problem(what, remedy="give the folder that Dataset.to_disk wrote")])
    try:
        project, plan = _project(folder, settings, records)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(str(folder), [Problem(f"not settings of Argilla ({error!r})", "settings.json")]) from error
    if name is not None:
        project = project.model_copy(update={"name": name})

    def read(record: Values) -> tuple[WorkItem, list[Judgment]]:
        item = _item(plan, record)
        return item, _judgments(plan, item, record, project)

    place = f"{folder / 'records.json'}: record"
    items, judgments = read_each(records, read, faults=Faults(folder), place=place, what="a record of Argilla")
    bundle = Bundle(project=project, items=items, judgments=judgments)
    check_bundle(bundle, str(folder))
    return bundle


def _project(folder: Path, settings: Values, records: list[Any]) -> tuple[Project, Plan]:
    """The project that was written here, or one that is made of what the data set asks."""
    own = folder / ".argilla" / "tutelage.json"
    if own.exists():
        project = read_project(own)
        return project, _plan(settings, project, folder)
    suggested = bool(records) and all(isinstance(one, dict) and one.get("suggestions") for one in records)
    plan = plan_of(settings, str(folder), has_answers=suggested)
    file = folder / ".argilla" / "dataset.json"
    dataset = read_json(file) if file.exists() else None
    found = str(dataset["name"]) if isinstance(dataset, dict) and dataset.get("name") else folder.name
    project = Project(
        name=found,
        work=plan.work,
        overlap=int((settings.get("distribution") or {}).get("min_submitted") or 1),
        guidelines=settings.get("guidelines") or "",
        metadata={KEPT: {"settings": settings, "dataset": dataset}},
    )
    return project, plan


def _plan(settings: Values, project: Project, folder: Path) -> Plan:
    """The plan of a project's own settings."""
    plan = plan_of(settings, str(folder), has_answers=project.work.kind == "correct")
    if plan.work.kind != project.work.kind:
        remedy = "take the changes back, or remove .argilla/tutelage.json to read it as a new project"
        raise DataError(
            str(folder), [Problem("it asks something else than the project", "questions", plan.work.kind, remedy)]
        )
    return replace(plan, work=project.work)


def _record(bundle: Bundle, plan: Plan, item: WorkItem, judgments: list[Judgment]) -> Values:
    kept = item.metadata.get(KEPT)
    if isinstance(kept, dict):
        made: Values = {**kept}
    else:
        turns = [{"role": one.role, "content": one.text} for one in item.messages]
        fields: Values = {QUESTION: turns}
        if marks_question(bundle.project.work):
            fields = {QUESTION: item.marked("question")}
            fields |= {BEFORE: _turns_before(item)} if len(turns) > 1 else {}
        suggestions = {}
        if bundle.project.work.kind != "correct":
            fields |= {f"{ANSWER}{at}": answer.text for at, answer in enumerate(item.answers, start=1)}
        else:
            suggestions[plan.text] = {
                "value": item.answers[0].text,
                "score": None,
                "agent": item.answers[0].author or None,
            }
        made = {"id": item.id, "fields": fields, "metadata": {}, "suggestions": suggestions, "vectors": {}}
        done = sum(one.role == "annotator" and one.number == 1 for one in judgments) >= bundle.project.overlap
        made |= {"status": "completed" if done else "pending", "_server_id": None}
        made["metadata"] = {OWN: item.to_json()}
    last = {one.annotator: one for one in judgments}
    responses: dict[str, list[Values]] = defaultdict(list)
    for who, one in last.items():
        for question, value in plan.values_of(item, one.response).items():
            responses[question].append({"value": value, "user_id": _user(bundle.project, who)})
    if judgments:
        told = json.dumps([one.model_dump(mode="json") for one in judgments], ensure_ascii=False)
        made["metadata"] = {**made["metadata"], OWN_JUDGMENTS: told}
    made["responses"] = dict(responses)
    return made


def _item(plan: Plan, record: Values) -> WorkItem:
    own = record["metadata"].get(OWN) if record.get("metadata") else None
    if own is not None:
        return WorkItem.from_json(own)
    fields = record["fields"]
    answers = tuple(
        Candidate(key=key, text=str(fields[name])) for key, name in plan.answers.items() if fields.get(name)
    )
    if plan.work.kind == "correct":
        suggestion = record["suggestions"][plan.text]
        answers = (Candidate(key="a", text=suggestion["value"], author=suggestion.get("agent") or ""),)
    kept: dict[str, JsonValue] = {key: value for key, value in record.items() if key != "responses"}
    if kept.get("metadata"):
        kept["metadata"] = {key: value for key, value in record["metadata"].items() if key != OWN_JUDGMENTS}
    return WorkItem.model_validate(
        {"id": str(record["id"]), "messages": plan.messages_of(fields), "answers": answers, "metadata": {KEPT: kept}}
    )


def _judgments(plan: Plan, item: WorkItem, record: Values, project: Project) -> list[Judgment]:
    """What was said: as our own copy has it, and what was said in Argilla since."""
    told = (record.get("metadata") or {}).get(OWN_JUDGMENTS)
    copies = [Judgment.model_validate(one) for one in json.loads(told)] if told else []
    names = {_user(project, one.annotator): one.annotator for one in copies}
    values: dict[str, Values] = defaultdict(dict)
    for question, responses in (record.get("responses") or {}).items():
        for one in responses:
            values[str(one["user_id"])][question] = one["value"]
    found = []
    for person, answered in values.items():
        if not plan.asked(answered):
            continue  # somebody left a comment and no more
        who = names.get(person, person)
        mine = [one for one in copies if one.annotator == who]
        response = _with_reasons(plan, plan.response_of(item, answered), mine)
        found += mine
        if not mine or plan.values_of(item, mine[-1].response) != plan.values_of(item, response):
            found.append(
                Judgment(
                    item=item.id,
                    annotator=who,
                    number=len(mine) + 1,
                    response=response,
                    role=mine[-1].role if mine else "annotator",
                    created_at=max((one.created_at for one in mine), default=0.0),
                )
            )
    return found


def _turns_before(item: WorkItem) -> list[Values]:
    """The turns beside the last question."""
    last = max((at for at, one in enumerate(item.messages) if one.role == "user"), default=0)
    return [{"role": one.role, "content": one.text} for at, one in enumerate(item.messages) if at != last]


def _with_reasons(plan: Plan, response: Response, earlier: list[Judgment]) -> Response:
    """Marks with the reasons that the same marks had, for Argilla has none; new ones say so, where one is asked for."""
    if not isinstance(response, Spans) or not isinstance(plan.work, SpansWork):
        return response
    last = earlier[-1].response if earlier else None
    known = {(one.start, one.end, one.label): one.reason for one in last.spans} if isinstance(last, Spans) else {}
    new = NO_REASON if plan.work.reasons else ""
    spans = [
        one.model_copy(update={"reason": known.get((one.start, one.end, one.label), new)}) for one in response.spans
    ]
    return response.model_copy(update={"spans": tuple(spans)})


def _user(project: Project, who: str) -> str:
    """A person's id for Argilla: their own if they came from there, else one made of project and name."""
    try:
        return str(uuid.UUID(who))
    except ValueError:
        return str(uuid.uuid5(SPACE, f"{project.name}\n{who}"))
