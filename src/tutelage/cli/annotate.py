"""What ``tutelage annotate`` does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from tutelage.annotation.agreement import agreement_of, disagreements, disputed
from tutelage.annotation.bundle import Bundle
from tutelage.annotation.decisions import decide, quality
from tutelage.annotation.export import Rules, export_records
from tutelage.annotation.formats.argilla import read_argilla, write_argilla
from tutelage.annotation.formats.items import read_items
from tutelage.annotation.formats.jsonl import read_jsonl, write_jsonl
from tutelage.annotation.formats.label_studio import read_label_studio, write_label_studio
from tutelage.annotation.formats.table import write_table
from tutelage.annotation.sql.adjudication import next_dispute, undecided
from tutelage.annotation.sql.filling import bundle_of, fill
from tutelage.annotation.sql.progress import status
from tutelage.annotation.sql.queue import next_item, open_item, skip, submit
from tutelage.annotation.sql.store import WORK, Store
from tutelage.annotation.views import Project
from tutelage.cli.annotate_commands import Format, Kind
from tutelage.cli.annotate_links import link_of, page_address
from tutelage.cli.annotate_shown import print_measures, print_status, print_task
from tutelage.cli.console import number, plain, say, say_json
from tutelage.cli.said import read_said, response_from
from tutelage.errors import DataError, Problem
from tutelage.files import atomic_folder, read_text, write_json
from tutelage.records.jsonl import write_records

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of ``new`` that belong to a kind of work."""

    work: Kind
    scales: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    several: bool = False
    no_ties: bool = False
    of: str | None = None
    no_reasons: bool = False
    max_words: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """What somebody says of an item."""

    said: str = ""
    revision: int | None = None
    comment: str = ""
    minutes: float | None = None
    skip: str | None = None


@dataclass(frozen=True, slots=True)
class Exporting:
    """What is exported; None: not said."""

    to: Format
    people: int | None = None
    threshold: float | None = None
    max_disagreement: float | None = None
    dawid_skene: bool = False


def new_command(place: str, name: str, wanted: Wanted, *, overlap: int, lease: int, guidelines: Path | None) -> None:
    """Make a project."""
    text = read_text(guidelines) if guidelines is not None else ""
    work = _work(wanted)
    with _store(place, create=True) as store:
        store.new_project(Project(name=name, work=work, overlap=overlap, lease_s=60 * lease, guidelines=text))
    say(f"{name}: people {work.kind}, {overlap} for each item. Add items: tutelage annotate add {place} {name} ROWS")


def add_command(place: str, project: str, rows: Path) -> None:
    """Add items."""
    with _store(place) as store:
        added = store.add_items(project, read_items(rows, store.project(project).work))
    there = f"; {added.there:,} were there already" if added.there else ""
    say(f"{added.new:,} item{'' if added.new == 1 else 's'} added to {project}{there}")


def guidelines_command(place: str, project: str, text: Path | None) -> None:
    """Show guidelines or change them."""
    with _store(place) as store:
        if text is not None:
            store.change_guidelines(project, read_text(text))
        found = store.project(project)
    if text is None:
        say(found.guidelines or f"{project} has no guidelines.")
    else:
        say(f"{project}: guidelines of revision {found.guidelines_revision}")


def invite_command(place: str, project: str, name: str, *, adjudicator: bool, end: bool, page: str) -> None:
    """Ask somebody, or end their token."""
    if page and end:
        raise DataError("invite", [Problem("who is no longer asked has no link", "--page", remedy="leave it out")])
    page = page_address(page, "--page")
    with _store(place) as store:
        if end:
            store.dismiss(project, name)
            say(f"{name} is no longer asked; what they said is kept")
            return
        person, token = store.invite(project, name, role="adjudicator" if adjudicator else "annotator")
    what = "link" if page else "token"
    say(f"{name} is {person.pseudonym} in {project}. Their {what}, shown this once:")
    say(link_of(page, token) if page else token, whole=True)


def next_command(place: str, token: str, *, json: bool) -> None:
    """Show the item that somebody works on."""
    with _store(place) as store:
        task = next_item(store, _token(token))
    if json:
        say_json("null" if task is None else task.model_dump_json())
    elif task is None:
        say("Nothing is left for you.")
    else:
        print_task(task)


def answer_command(place: str, item: str, token: str, answered: Answered, *, json: bool) -> None:
    """Submit a judgment, or give the item back."""
    if (answered.skip is None) == (not answered.said):
        raise DataError("answer", [Problem("say something, or --skip with a reason: one of both")])
    with _store(place) as store:
        task = open_item(store, _token(token), item)
        revision = task.revision if answered.revision is None else answered.revision
        if answered.skip is not None:
            receipt = skip(store, token, item, revision=revision, note=answered.skip)
        else:
            said = read_said() if answered.said == "-" else answered.said
            response = response_from(task.work, task.item, said, answered.comment)
            seconds = None if answered.minutes is None else 60 * answered.minutes
            receipt = submit(store, token, item, response, revision=revision, seconds=seconds)
    if json:
        say_json(receipt.model_dump_json())
    elif answered.skip is not None:
        say(f"{item} was given back")
    else:
        say(f"{item}: judgment {receipt.number} of yours" + (", which was there already" if receipt.repeated else ""))


def status_command(place: str, project: str | None, *, json: bool) -> None:
    """Say how far projects are."""
    with _store(place) as store:
        names = [project] if project is not None else [one.name for one in store.projects()]
        found = [status(store, name) for name in names]
    if json:
        for one in found:
            say_json(one.model_dump_json())
        return
    for one in found:
        print_status(one)
    if not found:
        say("There is no project yet.")


def agreement_command(place: str, project: str, *, threshold: float, above: float, json: bool) -> None:
    """Say how far people agree."""
    with _store(place) as store:
        bundle = bundle_of(store, project)
    work = bundle.project.work
    measures = agreement_of(work, bundle.items, bundle.judgments)
    apart = disagreements(work, bundle.items, bundle.judgments)
    several = sum(value is not None for value in apart.values())
    above_all = disputed(apart, above)
    waiting = undecided(bundle, above)
    good = quality(decide(work, bundle.items, bundle.judgments), threshold) if work.kind == "rate" else None
    if json:
        say_json(
            {
                "measures": [asdict(one) for one in measures],
                "disagreement": dict[str, JsonValue](apart),
                "disputed": [*waiting],
                "quality": None if good is None else good.model_dump(mode="json"),
            }
        )
        return
    print_measures(measures)
    if several:
        disputes = f"{len(above_all):,} of {several:,} items are disputed (above {above:g})"
        say(f"{disputes}; {len(waiting):,} wait for a decision.")
    else:
        say("No item has the judgments of two people whose agreement can be told.")
    if good is not None and good.share is not None:
        say(
            f"Quality Q: {good.share:.1%} of {good.n:,} items reach {threshold:g} "
            f"(95 % interval {good.low:.1%} to {good.high:.1%})."
        )


def adjudicate_command(place: str, token: str, *, above: float, json: bool) -> None:
    """Show the most disputed item."""
    with _store(place) as store:
        found = next_dispute(store, _token(token), above)
    if json:
        say_json("null" if found is None else found.model_dump_json())
    elif found is None:
        say("Nothing is left to decide.")
    else:
        print_task(found.assignment)
        say(f"People disagree by {number(found.disagreement, 2)}:")
        for one in found.judgments:
            say(plain(f"  {one.annotator}: {one.response.model_dump_json(exclude_defaults=True)}"))


def export_command(place: str, project: str, out: Path, wanted: Exporting) -> None:
    """Write records or judgments."""
    idle = [name for name in ("people", "threshold", "max_disagreement") if getattr(wanted, name) is not None]
    idle += ["dawid_skene"] if wanted.dawid_skene else []
    if wanted.to != "records" and idle:
        options = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise DataError("export", [Problem(f"{options} choose records alone", "--to", wanted.to, "leave them out")])
    with _store(place) as store:
        bundle = bundle_of(store, project)
    if wanted.to == "records":
        _export_records(bundle, out, wanted)
        return
    if wanted.to in ("judgments", "csv"):
        (write_jsonl if wanted.to == "judgments" else write_table)(out, bundle)
    else:
        with atomic_folder(out) as folder:
            (write_argilla if wanted.to == "argilla" else write_label_studio)(folder, bundle)
    say(f"{out}: {len(bundle.judgments):,} judgments of {len(bundle.items):,} items")


def import_command(place: str, source: Path, *, name: str | None) -> None:
    """Make a project of judgments that were made elsewhere."""
    remedy = "give a JSONL of export, a folder with .argilla, or one with config.xml and tasks.json"
    if source.suffix.lower() == ".csv" and source.is_file():
        raise DataError("import", [Problem("a CSV has judgments without their items", str(source), remedy=remedy)])
    if source.is_file():
        bundle = read_jsonl(source)
        if name is not None:
            bundle = bundle.model_copy(update={"project": bundle.project.model_copy(update={"name": name})})
    elif (source / ".argilla").is_dir():
        bundle = read_argilla(source, name=name)
    elif (source / "config.xml").is_file():
        bundle = read_label_studio(source, name=name)
    else:
        raise DataError("import", [Problem("nothing there can be read", str(source), remedy=remedy)])
    with _store(place, create=True) as store:
        fill(store, bundle)
    say(f"{bundle.project.name}: {len(bundle.items):,} items, {len(bundle.judgments):,} judgments")


@contextmanager
def _store(place: str, *, create: bool = False) -> Iterator[Store]:
    store = Store(place, create=create)
    try:
        yield store
    finally:
        store.close()


def _token(token: str) -> str:
    if not token:
        remedy = "give it with --token or in TUTELAGE_TOKEN; who asks you has it from: tutelage annotate invite"
        raise DataError("token", [Problem("it is needed to know who you are", remedy=remedy)])
    return token


def _work(wanted: Wanted) -> Any:
    """The kind of work; options of another kind are refused."""
    given: dict[str, tuple[str, object]] = {
        "--scale": ("rate", [_scale(text) for text in wanted.scales]),
        "--label": ("label spans", list(wanted.labels)),
        "--several": ("label", wanted.several),
        "--no-ties": ("choose rank", wanted.no_ties),
        "--of": ("spans", wanted.of),
        "--no-reasons": ("spans", wanted.no_reasons),
        "--max-words": ("write", wanted.max_words),
    }
    keys = {"--scale": "scales", "--label": "labels", "--several": "several", "--of": "of", "--max-words": "max_words"}
    problems, made = [], dict[str, object](kind=wanted.work)
    for option, (kinds, value) in given.items():
        if not value:
            continue
        if wanted.work not in kinds.split():
            problems.append(Problem(f"it belongs to {kinds.replace(' ', ' and ')}", option, remedy="leave it out"))
        elif option in ("--no-ties", "--no-reasons"):
            made[option.removeprefix("--no-")] = False
        else:
            made[keys[option]] = value
    if wanted.work in ("label", "spans") and not wanted.labels:
        problems.append(Problem(f"{wanted.work} needs labels", "--label", remedy="give each with --label"))
    if not problems:
        try:
            return WORK.validate_python(made)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                problems.append(
                    Problem(detail["msg"].removeprefix("Value error, "), ".".join(map(str, detail["loc"][1:])))
                )
    raise DataError("annotate new", problems)


def _scale(text: str) -> dict[str, object]:
    name, colon, ends = text.rpartition(":")
    low, dash, high = ends.partition("-")
    if not colon:
        return {"name": text}
    if not (dash and low.isdecimal() and high.isdecimal()):
        remedy = "write NAME or NAME:LOW-HIGH, truth:1-5 say"
        raise DataError("annotate new", [Problem("expected a scale", "--scale", text, remedy)])
    return {"name": name, "low": int(low), "high": int(high)}


def _export_records(bundle: Bundle, out: Path, wanted: Exporting) -> None:
    if wanted.threshold is not None and bundle.project.work.kind != "rate":
        raise DataError("export", [Problem("only ratings have a threshold", "--threshold", remedy="leave it out")])
    rules = Rules(
        people=wanted.people or 1,
        threshold=0.75 if wanted.threshold is None else wanted.threshold,
        max_disagreement=wanted.max_disagreement,
        way="dawid_skene" if wanted.dawid_skene else "majority",
    )
    found = export_records(bundle, rules)
    with atomic_folder(out) as folder:
        for name, records in (("examples", found.examples), ("preferences", found.preferences)):
            if records:
                write_records(folder / f"{name}.jsonl", records)
        write_records(folder / "dropped.jsonl", found.dropped)
        write_json(folder / "ledger.json", found.ledger.model_dump(mode="json"))
    say(f"{out}: {len(found.examples):,} examples, {len(found.preferences):,} preferences")
    say(f"{found.ledger.kept:,} of {found.ledger.rows_in:,} items are in them")
    for reason, count in found.ledger.dropped.items():
        say(f"  {count:,} are not: {reason}")
