"""What ``tutelage annotate`` shows of tasks, projects and agreement. Names and texts are people's, so nothing in them
is markup, and what would steer the terminal is shown and not sent."""

import json

from tutelage.annotation.agreement import Measure
from tutelage.annotation.views import Assignment, Status
from tutelage.annotation.work import RateWork
from tutelage.cli.console import OUT, number, plain, say, table
from tutelage.cli.said import short_form


def print_task(task: Assignment) -> None:
    """Show an item in somebody's hands, and what to type."""
    say(plain(f"{task.project}, item {task.item.id}, revision {task.revision}"), "bold")
    if task.guidelines:
        say(plain(task.guidelines.strip()), "dim")
    for message in task.item.messages:
        say(plain(f"{message.role}: {message.text}"))
    for answer in task.item.answers:
        say(plain(f"answer {answer.key}: {answer.text}"))
    if task.response is not None:
        say(plain(f"you said: {task.response.model_dump_json(exclude_defaults=True)}"))
    if task.draft is not None:
        say(plain(f"your draft: {json.dumps(task.draft, ensure_ascii=False)}"))
    for scale in task.work.scales if isinstance(task.work, RateWork) else ():
        asked = f": {scale.question}" if scale.question else ""
        say(plain(f"{scale.name}, {scale.low} to {scale.high}{asked}"), "dim")
    say(plain(f"to {task.work.kind}: tutelage annotate answer STORE {task.item.id} SAID"), "dim")
    say(plain(f"  SAID: {short_form(task.work, task.item)}"), "dim")


def print_status(one: Status) -> None:
    """Show how far a project and its people are."""
    finished = f"{one.finished:,} of {one.items:,} items are finished"
    say(plain(f"{one.project.name} ({one.project.work.kind}): {finished}"), "bold")
    more = f", {one.revised:,} revised" if one.revised else ""
    more += f", {one.beyond:,} beyond what was asked" if one.beyond else ""
    say(f"{one.judgments:,} judgments{more}; {one.wanted:,} are still wanted, {one.project.overlap} an item")
    shown = table("name", "pseudonym", "role", "submitted", "open", "skipped", "expired", right=("submitted", "open"))
    for row in one.annotators:
        who = row.annotator
        name = who.name if who.active else f"{who.name} (no token)"
        counts = (row.submitted, row.open, row.skipped, row.expired)
        shown.add_row(name, who.pseudonym, who.role, *map(str, counts))
    if one.annotators:
        OUT.print(shown)
    for reason, count in one.skips.items():
        say(plain(f"skipped {count:,} times: {reason}"))


def print_measures(measures: tuple[Measure, ...]) -> None:
    """Show how far people agree on each thing that was asked."""
    if not measures:
        say("Written answers are not compared.")
        return
    shown = table("compared", "alpha", "95 % interval", "items", "kappa of pairs", right=("alpha", "items"))
    for one in measures:
        if one.alpha is None:
            words = "nothing to compare" if one.overlap is None else f"mean overlap of two people {one.overlap:.3f}"
            say(f"{one.name}: {words}")
            continue
        interval = one.alpha.interval
        ends = "–" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"
        kappas = [pair.kappa.kappa for pair in one.pairs if pair.kappa.kappa is not None]
        pairs = "–" if not kappas else f"{min(kappas):.2f} to {max(kappas):.2f} ({len(kappas)} pairs)"
        alpha = number(one.alpha.alpha) if one.alpha.alpha is not None else one.alpha.reason
        cells = (f"{one.name} ({one.metric})", alpha, ends, str(one.alpha.n), pairs)
        shown.add_row(*cells)
    if shown.row_count:
        OUT.print(shown)
