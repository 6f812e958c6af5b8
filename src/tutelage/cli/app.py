"""The command line: one file a command, imported when it is called, so that ``--help`` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="tutelage",
    help="Turn a language model, a few expert examples and a teacher into an instruction-tuned model, with evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
)
recipes = typer.Typer(help="Validate, show and document recipes.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(recipes, name="recipe")

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", metavar="RECIPE")]
RunPath = Annotated[Path, typer.Argument(help="A run's folder, for example runs/quickstart.", metavar="RUN")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe, e.g. --set tune.epochs=2."),
]
Out = Annotated[Path | None, typer.Option("--out", help="The run's folder (default: runs/<name>).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of text.")]
Offline = Annotated[bool, typer.Option("--offline", help="Open no connection except to endpoints in the recipe.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and how much, and do nothing.")]


@app.command()
def run(
    recipe: RecipePath,
    out: Out = None,
    settings: Set = None,
    quiet: Quiet = False,
    json: Json = False,
    offline: Offline = False,
    dry_run: DryRun = False,
) -> None:
    """Run the whole loop; called again after an interruption it goes on where it stopped."""
    from tutelage.cli.run import run_command

    run_command(recipe, out=out, settings=settings or [], quiet=quiet, json=json, offline=offline, dry_run=dry_run)


@recipes.command("validate")
def recipe_validate(recipe: RecipePath, settings: Set = None) -> None:
    """Check a recipe and say what is wrong with it."""
    from tutelage.cli.recipe import validate_command

    validate_command(recipe, settings or [])


@recipes.command("show")
def recipe_show(recipe: RecipePath, settings: Set = None, json: Json = False) -> None:
    """Print the whole recipe with every default filled in."""
    from tutelage.cli.recipe import show_command

    show_command(recipe, settings or [], json=json)


@recipes.command("schema")
def recipe_schema() -> None:
    """Print the JSON schema of recipes."""
    from tutelage.cli.recipe import schema_command

    schema_command()
