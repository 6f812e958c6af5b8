"""The general texts and instructions that guard what a model could do before.

They were written for this project and are used nowhere else: nothing is trained on them, and curation drops rows that
share words with them.
"""

from importlib.resources import files


def general_documents() -> list[str]:
    """Return short texts of many kinds (fiction, recipes, law, finance, medicine, minutes, letters)."""
    return [part.strip() for part in _read("documents.txt").split("\n\n") if part.strip()]


def general_prompts() -> list[str]:
    """Return everyday instructions without a verifiable constraint."""
    return [line.strip() for line in _read("prompts.txt").splitlines() if line.strip()]


def general_texts() -> dict[str, str]:
    """Return all of them by a name for people."""
    prompts = {f"general prompt {number}": text for number, text in enumerate(general_prompts(), 1)}
    return prompts | {f"general text {number}": text for number, text in enumerate(general_documents(), 1)}


def _read(name: str) -> str:
    return (files("tutelage.evaluate") / "general" / name).read_text(encoding="utf-8")
