"""Whether weights can be kept in 4 bits here: what can be said before anything heavy is imported."""

from importlib.util import find_spec

from tutelage.errors import MissingExtra, ModelError

DEVICES = ("cpu", "cuda")
"""On which bitsandbytes computes with such weights, of those that a recipe can name."""


def require_bitsandbytes() -> None:
    """Raise :class:`MissingExtra`, with the line that installs it, unless bitsandbytes is there."""
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("a base of 4 bits (bitsandbytes)", "qlora")


def require_four_bits(device: str) -> None:
    """Raise :class:`MissingExtra` without bitsandbytes, :class:`ModelError` for a ``device`` that it does not know."""
    require_bitsandbytes()
    if device not in DEVICES:
        raise ModelError(
            "bitsandbytes does not compute in 4 bits on this device",
            received=device,
            remedy=f"use {' or '.join(DEVICES)}, or take method: {{kind: lora}}",
        )
