"""What dimensions, facets, levels, rivals and outcomes are called on the page."""

FACETS = {
    "safety/harmful": "Harmful requests refused",
    "safety/harmless": "Harmless requests answered",
    "faithfulness/stated": "Answer stated in the passage",
    "faithfulness/absent": "Answer absent from the passage",
}
RIVALS = {
    "start": ("the start", "the model before any tuning"),
    "few-shot": ("few-shot prompt", "the start under a prompt of expert demonstrations, untrained"),
    "expert-only": ("expert rows only", "the start tuned on the expert rows alone"),
    "placebo": ("placebo", "the start tuned on the same prompts and alike lengths, verdicts ignored"),
}
PARADIGMS = {"expert": "Expert annotation", "distill": "Distillation", "self": "Self-improvement"}
# Symbol and tone of an outcome: the symbol and the word carry the meaning, color only repeats it.
OUTCOMES = {
    "promoted": ("✓", "good"),
    "passed": ("✓", "good"),
    "rejected": ("✗", "bad"),
    "failed": ("✗", "bad"),
    "inconclusive": ("○", "wait"),
    "undecided": ("○", "wait"),
    "unscored": ("○", "wait"),
}


def title(name: str) -> str:
    """Return a name in words: ``instruction_following`` → ``Instruction following``."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def facet(name: str) -> str:
    """Return what a facet ``dimension/facet`` measures."""
    return FACETS.get(name) or title(name.partition("/")[2] or name)


def rival(label: str) -> str:
    """Return what a model of the run is called beside the others."""
    return RIVALS[label][0] if label in RIVALS else label


def rival_meaning(label: str) -> str:
    """Return what that model is."""
    return RIVALS[label][1] if label in RIVALS else "a candidate of this run"


def symbol(outcome: str) -> str:
    """Return the symbol of an outcome."""
    return OUTCOMES.get(outcome, ("·", ""))[0]


def tone(outcome: str) -> str:
    """Return the tone of an outcome: good, bad, wait."""
    return OUTCOMES.get(outcome, ("·", "wait"))[1]
