"""Commands that look at rows: their arguments; what they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer

from tutelage.cli.options import Offline, Quiet

SAMPLE = 2_000


def inspect(
    data: Annotated[
        str, typer.Argument(help="A file or folder of rows in any form, or hub:owner/name.", metavar="DATA")
    ],
    page: Annotated[Path | None, typer.Option("--page", help="Write a page to look at: one HTML file.")] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON; - prints them.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Also in tokens, and what is learned, by this model's chat template.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=2, help="Longest row of a tuning (default: tune.max_tokens).")
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option("--against", help="A file of benchmark items that no row may contain; may be repeated."),
    ] = None,
    topics: Annotated[
        int | None, typer.Option("--topics", min=0, help="So many topics (default: by their number; 0: none).")
    ] = None,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="Rows at most for languages, topics, personal data, heuristics.")
    ] = SAMPLE,
    redact: Annotated[
        bool, typer.Option("--redact", help="Show no text, id or author anywhere: lengths and hashes instead.")
    ] = False,
    quiet: Quiet = False,
    offline: Offline = False,
) -> None:
    """Look at rows before you learn from them. Lengths, languages, topics, duplicates, contamination, mask coverage.

    Nothing is changed. Steps of curation are run to count what they would drop.
    """
    from tutelage.cli.inspect import Wanted, inspect_command

    wanted = Wanted(
        data=data, model=model, max_tokens=max_tokens, against=tuple(against or ()), topics=topics, sample=sample
    )
    inspect_command(wanted, page=page, json=json, redact=redact, quiet=quiet, offline=offline)
