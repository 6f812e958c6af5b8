"""``tutelage export``."""

from pathlib import Path

from tutelage.cli.console import OUT as SCREEN
from tutelage.cli.console import Terminal, say, say_json, table
from tutelage.cli.sending import Sending
from tutelage.errors import InputErrors, Problem
from tutelage.pipeline.export import Exported, Wanted, export


def export_command(
    folder: Path, out: Path, wanted: Wanted, sending: Sending, *, quiet: bool, json: bool, offline: bool
) -> None:
    """Export, say how it was proved and how it is loaded, and send it if that was asked for."""
    if wanted.round is not None and wanted.start:
        raise InputErrors("export", [Problem("the start is of no round", "--start", remedy="leave one of them out")])
    sending.require(offline=offline, command="export")
    with Terminal(quiet=quiet, json=json) as terminal:
        made = export(folder, out, wanted, emit=terminal, offline=offline)
    if json:
        say_json(
            {"kind": "exported", "path": str(out), **made.model_dump(mode="json", exclude={"kind"}), "holds": made.kind}
        )
    elif not quiet:
        _say(made, out)
    sending.send(out, holds="model", quiet=quiet or json)


def _say(made: Exported, out: Path) -> None:
    what = "a PEFT adapter" if made.kind == "adapter" else f"a whole model in {made.dtype}"
    say(f"{out}: {made.label} of {made.source}, {what}\n", style="bold")
    shown, parity = table("compared with", "measured", "tolerated"), made.parity
    shown.add_row("the weights that were written", f"{parity.written:.2g} sd at most", f"{parity.written_tolerance:g}")
    shown.add_row(
        "the model as it is scored",
        f"{parity.scored:.2g} sd in the mean, {parity.scored_largest:.2g} at most",
        f"mean {parity.scored_tolerance:g}",
    )
    if parity.answers:
        parted = f"; others part at ties of {parity.widest_tie:.2g} sd" if parity.same_answers < parity.answers else ""
        answers = f"{parity.same_answers} of {parity.answers} the same{parted}"
        shown.add_row("its greedy answers", answers, f"ties of {parity.tie_tolerance:g}")
    if made.gguf is not None:
        shown.add_row("the GGUF file, with the folder", f"{made.gguf:.2g} sd at most", f"{made.gguf_tolerance:g}")
    SCREEN.print(shown)
    say("\nsd: standard deviations of the logits.", style="dim")
    if made.rounding:
        say(f"\n{made.rounding}")
    for what, code in made.lines:
        say(f"\n{what}:", style="dim")
        SCREEN.print("\n".join(f"  {line}" for line in code.splitlines()), markup=False, soft_wrap=True)
    say(f"\nModel card with scores, data and licenses: {out / 'README.md'}. Figures: {out / 'export.json'}")
