"""``tutelage report``."""

from pathlib import Path

from tutelage.cli.console import say, say_json, waiting
from tutelage.report.cards import write_card
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory


def report_command(path: Path, *, redact: bool, json: bool) -> None:
    """Write the page and the model card, and say where they are."""
    with waiting("writing the report", quiet=json):
        page = write_report(RunDirectory.open(path), redact=redact)
        card = write_card(RunDirectory.open(path))
    if json:
        say_json({"report": str(page), "card": str(card), "redacted": redact})
    else:
        say(f"Report: {page}")
        say(f"Model card: {card}")
