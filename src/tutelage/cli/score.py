"""``tutelage score``."""

from pathlib import Path

from tutelage.cli.console import Terminal, say, say_json
from tutelage.cli.targets import find_target
from tutelage.pipeline.rewards import RewardAccuracy, reward_accuracy


def score_command(pairs: Path, *, reward: Path, model: str | None, quiet: bool, json: bool, offline: bool) -> None:
    """Score pairs with a reward model and say how often it agrees with them."""
    target = find_target(model, [], None) if model is not None else None
    base = target.recipe or target.model if target is not None else None
    with Terminal(quiet=quiet, json=json) as terminal:
        found = reward_accuracy(pairs, reward, model=base, emit=terminal, offline=offline)
    if json:
        say_json(found.model_dump_json())
    elif not quiet:
        _print(found)


def _print(found: RewardAccuracy) -> None:
    say(f"{found.model} prefers the chosen answer of {found.accuracy:.1%} of {found.n:,} pairs.")
    say(f"95 % interval: {found.low:.1%} to {found.high:.1%}; 50 % is chance.")
    say(f"Mean rewards: {found.chosen:.3g} chosen, {found.rejected:.3g} rejected, {found.margin:.3g} between them.")
    if found.unscored:
        reason = next(iter(found.unscored))
        say(f"{sum(found.unscored.values()):,} pairs could not be scored and are in no number, for example: {reason}.")
