"""``tutelage methods``."""

from collections.abc import Iterator
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from tutelage.cli.console import OUT, say, say_json, table, title
from tutelage.recipe.catalog import DEFAULT_MODEL, METHODS, OBJECTIVES, Entry, share_of

KIND_WIDTH, SCOPE_WIDTH = 13, 21


def methods_command(*, json: bool) -> None:
    """Print the catalog of objectives and methods."""
    if json:
        for of, entries in (("objective", OBJECTIVES), ("method", METHODS)):
            for entry in entries:
                say_json({"of": of, **asdict(entry)})
        return
    for heading, shown in zip(("objectives: tune.objective", "methods: tune.method"), tables(), strict=True):
        title(heading, OUT)
        OUT.print(shown)
        say("")
    say(f"Trained shares were counted on {DEFAULT_MODEL} at default settings. Costs are beside sft with lora.")
    say("A recipe says it when two do not go together. Keys and defaults: docs/reference/recipe.md")


def tables() -> Iterator[Table]:
    """Yield the table of objectives and that of methods; what is not built stands at their ends, in short."""
    for entries, scope in ((OBJECTIVES, "learns from, cost"), (METHODS, "trains, cost")):
        made = table("kind")
        made.padding = (0, 2, 1, 0)
        made.expand = True
        made.columns[0].width = KIND_WIDTH
        made.add_column("what it is, and when to take it", ratio=1, overflow="fold")
        made.add_column(scope, width=SCOPE_WIDTH, overflow="fold")
        for entry in sorted(entries, key=lambda entry: not entry.built):
            made.add_row(*(_built(entry) if entry.built else _not_built(entry)))
        yield made


def _built(entry: Entry) -> tuple[Text, Text, Text]:
    share = f"{share_of(entry)}\n" if entry.share is not None else ""
    return (
        Text.assemble((entry.kind, "bold"), f"\n{entry.setting}" if entry.setting else ""),
        Text.assemble(
            (entry.name, "bold"), (f"  {entry.paper}", "dim"), f"\n{entry.formula}\n", (entry.when, "italic")
        ),
        Text.assemble((share, "bold"), entry.scope, (f"\n{entry.cost}", "dim")),
    )


def _not_built(entry: Entry) -> tuple[Text, Text, Text]:
    about = Text.assemble(entry.name, f"  {entry.paper}\n{entry.formula}", style="dim")
    return Text(entry.kind, "dim"), about, Text("not built", "dim")
