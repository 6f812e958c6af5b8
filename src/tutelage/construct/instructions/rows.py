"""Conversations as rows: every answer in them is learned, and each has its verdict in the lineage."""

from tutelage.construct.instructions.answers import TASK, Chat
from tutelage.construct.instructions.desk import Desk
from tutelage.construct.instructions.requests import PROMPT
from tutelage.construct.prompts import version
from tutelage.records import Cost, Example, Lineage, content_id

SOURCE = "instructions"


def row_of(chat: Chat, desk: Desk) -> Example:
    """Return the row of a conversation, for the cell that its request counts for.

    Its cost is the request with all tries, the assessment where the teacher read it, every answer that was sampled, and
    the user's turns; not the personas, which many rows share, and not what a judge took.
    """
    asked, last = chat.asked, chat.chosen[-1]
    order = asked.order
    return Example(
        id=content_id(SOURCE, [message.text for message in chat.messages]),
        messages=chat.messages,
        lineage=Lineage(
            paradigm="distill",
            source=SOURCE,
            author=last.by or desk.teacher.name,
            parents=(order.id, asked.replies[0].request_id, *(answer.request_id for answer in chat.chosen)),
            prompt=version(PROMPT),
            sampling=desk.answering,
            seed=last.seed,
            round=desk.sampler.round,
            verdicts=chat.verdicts,
            order=order,
            assessment=asked.assessment,
            cost=Cost.of([*asked.replies, *chat.replies]),
        ),
        task=TASK,
        dimension=order.dimension,
        level=order.level,
        facet=order.facet,
        group=order.id,
    )
