"""A check of your own. The recipe names it as ``check: checks.py:check_answer``."""


def check_answer(prompt: str, answer: str, reference: str | None, row: dict[str, object]) -> tuple[float, str]:
    """Return a score from 0 to 1 and a sentence that a teacher could say to the student.

    Called for every answer to a row of your file:

    prompt     the question
    answer     what the model wrote
    reference  the row's reference, None where it has none
    row        the whole row, every column by its name

    The sentence is the critique with which the model revises its answer, so say what is missing ("The answer should
    name the deadline."), not only that it is wrong. True or False alone will do as well. An exception leaves the
    answer unscored: it counts as unknown, never as wrong.
    """
    if reference is None:
        raise ValueError("this row has no reference")
    if reference.casefold() not in answer.casefold():
        return 0.0, f"The answer should say: {reference}."
    if len(answer.split()) > 60:
        return 0.0, f"The answer has {len(answer.split())} words; at most 60 were wanted."
    return 1.0, "The answer is right."
