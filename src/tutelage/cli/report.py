"""``tutelage report``."""

from pathlib import Path

from tutelage.cli.console import say, say_json, waiting
from tutelage.report.page import write_report
from tutelage.runs import RunDirectory


def report_command(path: Path, *, redact: bool, json: bool) -> None:
    """Write the page and say where it is."""
    with waiting("writing the report", quiet=json):
        page = write_report(RunDirectory.open(path), redact=redact)
    if json:
        say_json({"report": str(page), "redacted": redact})
    else:
        say(f"Report: {page}")
