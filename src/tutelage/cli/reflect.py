"""``tutelage reflect``."""

import json as json_module
from pathlib import Path

from pydantic import JsonValue

from tutelage.cli.console import OUT, OUTCOME_STYLE, number, say, say_json, table, title
from tutelage.errors import RunError
from tutelage.records.scores import CellDiagnosis, GateVerdict, Plan
from tutelage.runs import RunDirectory, read_state

REASONS = 3


def reflect_command(path: Path, *, json: bool) -> None:
    """Print diagnosis, plan and verdict of every round there is."""
    run = RunDirectory.open(path)
    rounds = sorted(int(folder.name) for folder in path.glob("rounds/*") if folder.name.isdigit())
    if not rounds:
        raise RunError("nothing was scored yet", where=str(path), remedy="start it with: tutelage run")
    if json:
        say_json([_as_json(run, round) for round in rounds])
        return
    for round in rounds:
        title(f"round {round}" if round else "the start", OUT)
        plan, verdict, weak = _plan(run, round), _verdict(run, round), _diagnosis(run, round)
        if plan is not None:
            _print_plan(plan)
        if weak:
            _print_diagnosis(weak)
        if verdict is not None:
            _print_verdict(verdict)


def _diagnosis(run: RunDirectory, round: int) -> list[CellDiagnosis]:
    file = run.round(round) / "evaluate" / "diagnosis.json"
    if not file.is_file():
        return []
    return [CellDiagnosis.model_validate(row) for row in json_module.loads(file.read_text(encoding="utf-8"))]


def _plan(run: RunDirectory, round: int) -> Plan | None:
    file = run.round(round) / "plan" / "plan.json"
    return read_state(file, Plan) if file.is_file() else None


def _verdict(run: RunDirectory, round: int) -> GateVerdict | None:
    file = run.round(round) / "gate" / "verdict.json"
    return read_state(file, GateVerdict) if file.is_file() else None


def _as_json(run: RunDirectory, round: int) -> JsonValue:
    plan, verdict = _plan(run, round), _verdict(run, round)
    return {
        "round": round,
        "diagnosis": [cell.model_dump(mode="json") for cell in _diagnosis(run, round)],
        "plan": plan.model_dump(mode="json") if plan is not None else None,
        "verdict": verdict.model_dump(mode="json") if verdict is not None else None,
    }


def _print_diagnosis(cells: list[CellDiagnosis]) -> None:
    say("Diagnosis (probe split, weakest first)", style="bold")
    shown = table("dimension", "level", "score", "n", "why answers failed", right=("score", "n"))
    for cell in cells:
        reasons = "; ".join(f"{reason.reason} ({reason.count})" for reason in cell.reasons[:REASONS])
        shown.add_row(cell.dimension, cell.level, number(cell.value, 2), str(cell.n), reasons)
    OUT.print(shown)
    say("")


def _print_plan(plan: Plan) -> None:
    say(f"Plan: {plan.words}", style="bold")
    shown = table("dimension", "level", "prompts", "why", right=("prompts",))
    for given in sorted(plan.allocations, key=lambda a: -a.attempts):
        shown.add_row(given.dimension, given.level, f"{given.attempts:,}", given.reason)
    OUT.print(shown)
    say("")


def _print_verdict(verdict: GateVerdict) -> None:
    say(f"Gate: {verdict.outcome}", style=OUTCOME_STYLE[verdict.outcome])
    say(f"  {verdict.words}")
    shown = table(
        "guard", "before", "after", "loss", "bound", "margin", "", right=("before", "after", "loss", "bound", "margin")
    )
    for guard in verdict.guards:
        numbers = (guard.before, guard.after, guard.loss, guard.bound, guard.margin)
        shown.add_row(guard.name, *map(number, numbers), guard.outcome)
    OUT.print(shown)
    say(f"  {verdict.power.words}", style="dim")
