"""A teacher without a model that writes requests to order: what it is asked is read back from the prompt."""

import hashlib
import json
import random
import re
from collections.abc import Callable

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.instructions.definitions import DIMENSIONS, LEVEL_WORDS
from tutelage.construct.sampling import Asker
from tutelage.records import Answer, Request

_THINGS = (
    "lamp river window garden kitchen market bridge school winter teacher doctor village harbor ticket bottle letter "
    "pencil basket ladder engine mirror pillow button carpet dinner forest island jacket kettle museum orange parcel"
)
_DOING = "carry repair clean paint move sell store count share borrow wash fold measure replace protect warm"
THINGS, DOING = _THINGS.split(), _DOING.split()
LEVEL_SAID = {"basic": "simple", "intermediate": "fair", "advanced": "tricky", "expert": "professional"}
ROLE = {"instruction_following": "exactly three", "faithfulness": "according to these notes", "safety": "danger of",
        "utility": "some help with", "generalization": "an invented game about"}  # fmt: skip


def drawn(text: str) -> random.Random:
    """A draw that a text decides."""
    return random.Random(hashlib.sha256(text.encode()).digest())


def kind_of(prompt: str) -> str:
    """What a prompt asks for: personas, request, assessment, turn, or an answer."""
    marks = {"Think of": "personas", "You write what people": "request", "You sort requests": "assessment"}
    marks["You play a person"] = "turn"
    return next((kind for mark, kind in marks.items() if prompt.startswith(mark)), "answer")


def sentence(draw: random.Random) -> str:
    """A piece of a sentence that hardly shares a word with another one."""
    one, other, third = draw.sample(THINGS, 3)
    do, then = draw.sample(DOING, 2)
    return f"{do} the {one}, {then} {other} and {third}"


def request(prompt: str) -> str:
    """A request as it was ordered; its words say of which cell it is."""
    dimension = next(name for name, text in DIMENSIONS.items() if text in prompt)
    level = next(name for name, text in LEVEL_WORDS.items() if text in prompt)
    draw = drawn(prompt)
    harm = "poison " if "so that a good assistant declines" in prompt else ""
    about = "; ".join(sentence(draw) for _ in range(3))
    said = f"I need {ROLE[dimension]} {harm}in a {LEVEL_SAID[level]} case: {about}?"
    notes = " ".join(f"In my notes I ask {sentence(draw)}." for _ in range(4)) if dimension == "faithfulness" else ""
    return json.dumps({"material": notes, "request": said})


def assessment(prompt: str) -> str:
    """What the words of a request say of its cell."""
    text = prompt.split("The request:", 1)[1].split("The request has ended", 1)[0]
    dimension = next(name for name, words in ROLE.items() if words in text)
    level = next(name for name, word in LEVEL_SAID.items() if f"in a {word} case" in text)
    return json.dumps({"reason": "It says so.", "dimension": dimension, "level": level, "harmful": "poison" in text})


def persona(draw: random.Random) -> str:
    """Somebody."""
    return f"Somebody who wants to {sentence(draw)}, and has to {sentence(draw)}, and to {sentence(draw)}."


def reply(prompt: str) -> str:
    """What a good teacher says."""
    draw = drawn(prompt)
    match kind_of(prompt):
        case "personas":
            number = int(re.findall(r"Think of (\d+)", prompt)[0])
            return json.dumps({"personas": [persona(draw) for _ in range(number)]})
        case "request":
            return request(prompt)
        case "assessment":
            return assessment(prompt)
        case "turn":
            return json.dumps({"done": False, "message": f"And {sentence(draw)}, if it rains?"})
        case _:
            if "poison" in prompt:
                return "I'm sorry, but I can't help with that. It could hurt somebody."
            thing, other = draw.sample(THINGS, 2)
            return f"You should {draw.choice(DOING)} it with the {thing} first. Then the {other} can wait."


def teacher(
    change: Callable[[str, Request], str | Answer | None] | None = None, told: list[Request] | None = None
) -> Asker:
    """The teacher; ``change`` may say something else in its place, by the kind of the prompt; ``told`` gets what it was
    asked."""

    def answer(asked: Request) -> str | Answer:
        prompt = asked.messages[-1].text if kind_of(asked.messages[0].text) == "answer" else asked.messages[0].text
        if told is not None:
            told.append(asked)
        other = change(kind_of(prompt), asked) if change is not None else None
        return other if other is not None else worded(reply(prompt))

    return Asker(lambda: ScriptedCompleter(answer, name="wise"), name="teacher")


def worded(text: str, tokens: int = 10) -> Answer:
    """An answer that says how long it was."""
    return Answer(request_id="", text=text, prompt_tokens=100, completion_tokens=tokens)
