"""By what instructions and answers are reflected on: the criteria of Reflection-Tuning (Li et al. 2023), in this
project's words."""

OF_INSTRUCTIONS = {
    "complexity": "how hard its subject is, and what would make it worth more thought",
    "detail": "how exactly it says what is wanted, and what it leaves open",
    "knowledge": "what one must know to answer it",
    "ambiguity": "what in it can be understood in two ways",
    "reasoning": "whether it takes steps of reasoning or the solving of a problem",
}
OF_RESPONSES = {
    "helpfulness": "whether it gives the user what is needed",
    "relevance": "whether all of it belongs to the request",
    "accuracy": "which statement, number or step may be wrong",
    "detail": "where it says too little or too much",
}


def listed(criteria: dict[str, str]) -> str:
    """Return criteria as the lines of a prompt."""
    return "\n".join(f"- {name}: {asks}" for name, asks in criteria.items())
