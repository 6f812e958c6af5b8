"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated, Literal

import typer

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", metavar="RECIPE")]
RunPath = Annotated[Path, typer.Argument(help="A run's folder, for example runs/quickstart.", metavar="RUN")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe, e.g. --set tune.epochs=2."),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder (default: runs/<name>).")]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")]
Round = Annotated[int, typer.Option("--round", min=1, help="The round.")]
Model = Annotated[str, typer.Option("--model", help="A hub id, a folder, a GGUF file, default or tiny.")]
Adapter = Annotated[Path | None, typer.Option("--adapter", help="Folder of a PEFT adapter to put on.")]
Split = Annotated[Literal["train", "probe", "gate", "test"], typer.Option("--split", help="The items' split.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line, instead of text.")]
Offline = Annotated[bool, typer.Option("--offline", help="Open no connection except to endpoints in the recipe.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and how much, and do nothing.")]
