"""Frozen, typed records: whatever crosses a stage.

| file | records |
|---|---|
| ``base`` | ``Record``, levels, splits, paradigms, ``content_id`` |
| ``messages`` | ``Message`` and its parts, ``Conversation`` |
| ``items`` | ``Item``: what is asked |
| ``answers`` | ``Sampling``, ``AnswerSchema``, ``Request``, ``Engine``, ``Answer`` |
| ``logprobs`` | ``TokenChoices``: the likeliest tokens in the place of one |
| ``structured`` | ``Loss``, ``StructuredYield`` |
| ``verdicts`` | ``Verdict``, ``PartVerdict``; of a judge ``JudgeIdentity`` and ``CriterionScore`` |
| ``judging`` | what judging took, and what a set of judged answers looks like |
| ``lineage`` | ``Lineage``, ``Evidence``, ``Cost`` |
| ``documents`` | ``Document``, ``Passage`` |
| ``instructions`` | ``Order``, ``Assessment`` |
| ``seed_tasks`` | ``SeedTask``, ``Pooled`` |
| ``prompts`` | ``Prompt``: a question alone |
| ``reasoned`` | ``Reasoned``: a question, the reasons, the answer |
| ``examples`` | ``Example``, ``Demonstration``, ``Preference``, ``UnpairedPreference``, ``Lesson`` |
| ``ledger`` | ``Ledger``, ``Dropped`` |
| ``readings`` | what a model made of rows before they are chosen among |
| ``scores``, ``comparison``, ``outcome`` | scores and what is concluded from them |
| ``heldout`` | the loss of references that were held out |
| ``tradeoff`` | what each paradigm of data construction gave and took |
| ``inspection`` | what a file of rows looks like |
| ``jsonl`` | reading and writing records, with errors by file, line and key |
| ``tables``, ``importers`` | a user's files: rows of any common format, as examples, preferences or prompts |
"""

from tutelage.records.answers import Answer, AnswerSchema, Engine, FinishReason, Request, Sampling
from tutelage.records.base import LEVELS, PARADIGMS, SPLITS, Level, Paradigm, Record, Split, content_id
from tutelage.records.examples import (
    Demonstration,
    Example,
    Lesson,
    Preference,
    Turn,
    UnpairedPreference,
    with_answer,
)
from tutelage.records.items import Item
from tutelage.records.ledger import Dropped, Ledger
from tutelage.records.lineage import Cost, Evidence, Lineage
from tutelage.records.logprobs import TokenChoices
from tutelage.records.messages import (
    AudioPart,
    Conversation,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    assistant,
    system,
    user,
)
from tutelage.records.prompts import Prompt
from tutelage.records.verdicts import CriterionScore, JudgeIdentity, PartVerdict, Verdict, all_of, unscored

__all__ = [
    "LEVELS",
    "PARADIGMS",
    "SPLITS",
    "Answer",
    "AnswerSchema",
    "AudioPart",
    "Conversation",
    "Cost",
    "CriterionScore",
    "Demonstration",
    "Dropped",
    "Engine",
    "Evidence",
    "Example",
    "FinishReason",
    "ImagePart",
    "Item",
    "JudgeIdentity",
    "Ledger",
    "Lesson",
    "Level",
    "Lineage",
    "Message",
    "Paradigm",
    "PartVerdict",
    "Preference",
    "Prompt",
    "Record",
    "Request",
    "Sampling",
    "Split",
    "TextPart",
    "TokenChoices",
    "ToolCall",
    "Turn",
    "UnpairedPreference",
    "Verdict",
    "all_of",
    "assistant",
    "content_id",
    "system",
    "unscored",
    "user",
    "with_answer",
]
