"""The conversations that the checks are made on: fixed, of different lengths, every turn with a word of its own."""

from tutelage.models.template import ChatTemplate, Encoded
from tutelage.records import Conversation, Message, assistant, system, user

MOST_TURNS = 4
_THINGS = ("river", "garden", "passage", "title", "city", "answer", "name", "point")


def chats() -> list[Conversation]:
    """Return conversations of one to four answers, each once without and once with a system turn."""
    return [_chat(turns, with_system) for turns in range(1, MOST_TURNS + 1) for with_system in (False, True)]


def documents(template: ChatTemplate) -> list[Encoded]:
    """Return all :func:`chats` with ids and loss masks."""
    return [template.encode(chat) for chat in chats()]


def mark_of(place: int) -> str:
    """Return the word that the turn at ``place`` of a conversation has, and no other."""
    return f"Nr{place}x"


def _chat(turns: int, with_system: bool) -> Conversation:
    said: list[Message] = [system(f"Be brief and friendly ({mark_of(0)}).")] if with_system else []
    for turn in range(turns):
        thing, other = _THINGS[turn], _THINGS[(turn + turns) % len(_THINGS)]
        said.append(user(f"What do you know about the {thing} ({mark_of(len(said))})?"))
        told = f"The {thing} lies behind the {other}" + f", and beyond it there is a second {other}" * turn
        said.append(assistant(f"{told} ({mark_of(len(said))})."))
    return tuple(said)
