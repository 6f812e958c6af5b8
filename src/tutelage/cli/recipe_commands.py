"""``tutelage recipe``: its commands."""

import typer

from tutelage.cli.options import Json, RecipePath, Set

recipes = typer.Typer(help="Validate, show and document recipes.", rich_markup_mode=None)


@recipes.callback(invoke_without_command=True)
def recipe(context: typer.Context) -> None:
    """Validate, show and document recipes."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@recipes.command("validate")
def recipe_validate(recipe: RecipePath, settings: Set = None, json: Json = False) -> None:
    """Check a recipe and all that it names.

    Data, own code, the chat template, the address of an endpoint. Whether the variable with the endpoint's key is set
    is seen by `run` and its --dry-run alone.
    """
    from tutelage.cli.recipe import validate_command

    validate_command(recipe, settings or [], json=json)


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
