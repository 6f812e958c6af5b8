"""``tutelage annotate``: its commands and options. What they do is imported when one is called."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tutelage.cli.options import Json
from tutelage.cli.readable import Readable

annotate = typer.Typer(
    cls=Readable,
    help="Ask people: projects, items, judgments, agreement, and records made of them.",
    rich_markup_mode=None,
)

StorePlace = Annotated[
    str, typer.Argument(help="A SQLite file, or postgresql://user@host/name.", metavar="STORE", show_default=False)
]
ProjectName = Annotated[str, typer.Argument(help="The project.", metavar="PROJECT")]
Token = Annotated[str, typer.Option("--token", envvar="TUTELAGE_TOKEN", help="Yours, from `invite`.")]
Kind = Literal["write", "correct", "rate", "rank", "choose", "label", "spans"]
Format = Literal["records", "judgments", "csv", "argilla", "label-studio"]
Above = Annotated[float, typer.Option("--above", min=0, max=1, help="Disagreement from which an item is disputed.")]


@annotate.callback(invoke_without_command=True)
def index(context: typer.Context) -> None:
    """Ask people: projects, items, judgments, agreement, and records made of them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@annotate.command("new")
def new(
    store: StorePlace,
    project: ProjectName,
    work: Annotated[Kind, typer.Option("--work", help="What people do with an item.")],
    overlap: Annotated[int, typer.Option("--overlap", min=1, help="How many people are asked about each item.")] = 1,
    lease: Annotated[int, typer.Option("--lease", min=1, help="Minutes of silence until others are asked.")] = 60,
    guidelines: Annotated[Path | None, typer.Option("--guidelines", help="A text file; people see it.")] = None,
    scale: Annotated[
        list[str] | None, typer.Option("--scale", help="rate: NAME or NAME:LOW-HIGH; may be repeated.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="label, spans: one of them; repeat it.")] = None,
    several: Annotated[bool, typer.Option("--several", help="label: any number of labels.")] = False,
    no_ties: Annotated[bool, typer.Option("--no-ties", help="choose, rank: no two are equally good.")] = False,
    of: Annotated[
        Literal["question", "answer"] | None, typer.Option("--of", help="spans: of what (default: answer).")
    ] = None,
    no_reasons: Annotated[bool, typer.Option("--no-reasons", help="spans: no reason for a mark.")] = False,
    max_words: Annotated[int | None, typer.Option("--max-words", min=1, help="write: longest answer.")] = None,
) -> None:
    """Make a project, and the store if there is none.

    Work: write an answer; correct one; rate it on scales; rank several; choose of two; label; mark spans of text.
    """
    from tutelage.cli.annotate import Wanted, new_command

    wanted = Wanted(
        work=work,
        scales=tuple(scale or ()),
        labels=tuple(label or ()),
        several=several,
        no_ties=no_ties,
        of=of,
        no_reasons=no_reasons,
        max_words=max_words,
    )
    new_command(store, project, wanted, overlap=overlap, lease=lease, guidelines=guidelines)


@annotate.command("add")
def add(
    store: StorePlace,
    project: ProjectName,
    rows: Annotated[Path, typer.Argument(help="Questions, answers or pairs (JSONL, JSON, CSV).", metavar="ROWS")],
) -> None:
    """Add items from a file of any form of the field. Rows that are there already are passed over."""
    from tutelage.cli.annotate import add_command

    add_command(store, project, rows)


@annotate.command("guidelines")
def guidelines(
    store: StorePlace,
    project: ProjectName,
    text: Annotated[Path | None, typer.Argument(help="A text file with new ones.", metavar="[TEXT]")] = None,
) -> None:
    """Show a project's guidelines, or put new ones in their place. Each judgment notes which were in force then."""
    from tutelage.cli.annotate import guidelines_command

    guidelines_command(store, project, text)


@annotate.command("invite")
def invite(
    store: StorePlace,
    project: ProjectName,
    name: Annotated[str, typer.Argument(help="Who is asked; the name stays in the store.", metavar="NAME")],
    adjudicator: Annotated[bool, typer.Option("--adjudicator", help="Decides where others disagree.")] = False,
    end: Annotated[bool, typer.Option("--end", help="End their token instead; what they said is kept.")] = False,
    page: Annotated[
        str, typer.Option("--page", metavar="URL", help="Where `serve` is reached: print their link to it.")
    ] = "",
) -> None:
    """Ask somebody. Prints their token once; the store keeps only its hash. Again: a new token, the old one ends."""
    from tutelage.cli.annotate import invite_command

    invite_command(store, project, name, adjudicator=adjudicator, end=end, page=page)


@annotate.command("serve")
def serve(
    store: StorePlace,
    host: Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0: all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8642,
    url: Annotated[
        str, typer.Option("--url", help="Where people reach it, https://work.example.org say, behind a proxy.")
    ] = "",
    link: Annotated[
        list[str] | None,
        typer.Option("--link", metavar="PROJECT/NAME", help="Invite them and print their link; may be repeated."),
    ] = None,
    above: Above = 0.3,
) -> None:
    """Serve the page on which people work, until Ctrl-C. Each comes in by a link, which holds their token.

    `invite --page URL` prints a link as well. --link gives a new token: the link that somebody had before ends.
    """
    from tutelage.cli.annotate_page import Served, serve_command

    serve_command(store, Served(host=host, port=port, url=url, links=tuple(link or ()), above=above))


@annotate.command("next")
def next_(store: StorePlace, token: Token = "", json: Json = False) -> None:
    """Show the item that you work on, or a new one."""
    from tutelage.cli.annotate import next_command

    next_command(store, token, json=json)


@annotate.command("answer")
def answer(
    store: StorePlace,
    item: Annotated[str, typer.Argument(help="The item's id.", metavar="ITEM")],
    said: Annotated[str, typer.Argument(help="What you say; - reads it from the input.", metavar="SAID")] = "",
    token: Token = "",
    revision: Annotated[
        int | None, typer.Option("--revision", min=0, help="From `next`: refuse if it was changed since.")
    ] = None,
    comment: Annotated[str, typer.Option("--comment", help="A remark for those who read the judgments.")] = "",
    minutes: Annotated[float | None, typer.Option("--minutes", min=0, help="How long you worked on it.")] = None,
    skip: Annotated[str | None, typer.Option("--skip", metavar="REASON", help="Give it back instead.")] = None,
    json: Json = False,
) -> None:
    """Submit a judgment, or a new one in the place of your last.

    write, correct: the text. rate: 4, or truth=4,use=2. choose: a key, or neither. rank: a > b = c. label: x, y.
    spans and all others: JSON, {"kind": "spans", "spans": [{"start": 0, "end": 5, "label": "x", "reason": "so"}]}.
    """
    from tutelage.cli.annotate import Answered, answer_command

    answered = Answered(said=said, revision=revision, comment=comment, minutes=minutes, skip=skip)
    answer_command(store, item, token, answered, json=json)


@annotate.command("status")
def status(
    store: StorePlace,
    project: Annotated[str | None, typer.Argument(help="Only this one.", metavar="[PROJECT]")] = None,
    json: Json = False,
) -> None:
    """Say how far projects and people are."""
    from tutelage.cli.annotate import status_command

    status_command(store, project, json=json)


@annotate.command("agreement")
def agreement(
    store: StorePlace,
    project: ProjectName,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=1, help="rate: score from which an answer is good enough.")
    ] = 0.75,
    above: Above = 0.3,
    json: Json = False,
) -> None:
    """Say how far people agree: Krippendorff's alpha, Cohen's kappa of every two, disputed items, quality Q."""
    from tutelage.cli.annotate import agreement_command

    agreement_command(store, project, threshold=threshold, above=above, json=json)


@annotate.command("adjudicate")
def adjudicate(store: StorePlace, token: Token = "", above: Above = 0.3, json: Json = False) -> None:
    """Show the most disputed item and what people said of it. Decide with `answer`; your token is an adjudicator's."""
    from tutelage.cli.annotate import adjudicate_command

    adjudicate_command(store, token, above=above, json=json)


@annotate.command("export")
def export(
    store: StorePlace,
    project: ProjectName,
    out: Annotated[Path, typer.Argument(help="The folder; judgments and csv: the file.", metavar="OUT")],
    to: Annotated[Format, typer.Option("--to", help="Records to learn from, or the judgments themselves.")] = "records",
    people: Annotated[int | None, typer.Option("--people", min=1, help="records: of so many at least.")] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", min=0, max=1, help="records, rate: least score (default: 0.75).")
    ] = None,
    max_disagreement: Annotated[
        float | None, typer.Option("--max-disagreement", min=0, max=1, help="records: leave out what is disputed more.")
    ] = None,
    dawid_skene: Annotated[
        bool, typer.Option("--dawid-skene", help="records: weigh people by their estimated skill.")
    ] = False,
) -> None:
    """Write examples and preferences, or all judgments, under pseudonyms.

    records: a folder with examples.jsonl and preferences.jsonl for `tune --data` or a recipe, dropped.jsonl with
    reasons, ledger.json. judgments (JSONL), argilla and label-studio keep everything and can be read by `import`.
    """
    from tutelage.cli.annotate import Exporting, export_command

    wanted = Exporting(
        to=to, people=people, threshold=threshold, max_disagreement=max_disagreement, dawid_skene=dawid_skene
    )
    export_command(store, project, out, wanted)


@annotate.command("import")
def import_(
    store: StorePlace,
    source: Annotated[Path, typer.Argument(help="What export wrote, or the other tool.", metavar="SOURCE")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the project (default: its own).")] = None,
) -> None:
    """Make a project of judgments that were made elsewhere.

    A JSONL of `export --to judgments`, a folder of Argilla (Dataset.to_disk) or one of Label Studio (tasks.json and
    config.xml). Makes the store if there is none.
    """
    from tutelage.cli.annotate import import_command

    import_command(store, source, name=name)
