"""``tutelage dataset``."""

from pathlib import Path

from tutelage.cli.console import say, say_json, waiting
from tutelage.cli.sending import Sending
from tutelage.pipeline.dataset import CARD, DATA, Wanted, release


def dataset_command(
    source: Path, out: Path, wanted: Wanted, sending: Sending, *, quiet: bool, json: bool, offline: bool
) -> None:
    """Write the data set, say what it holds, and send it if that was asked for."""
    sending.require(offline=offline, command="dataset")
    with waiting(f"writing {out}", quiet=quiet or json):
        made = release(source, out, wanted)
    if json:
        say_json(made.model_dump_json())
    elif not quiet:
        of = f"round {made.round} of {made.source}" if made.round else made.source
        say(f"{out}: {made.rows:,} rows of {of}, read again and equal", style="bold")
        say(f"Card: {out / CARD}. Look at it before you share it: what it does not know it says.")
        if not made.license:
            say("No license is stated: add one with --license, an SPDX id such as CC-BY-4.0.")
        say(f"Next: tutelage tune --data {out / DATA} -o FOLDER", style="dim")
    sending.send(out, holds="dataset", quiet=quiet or json)
