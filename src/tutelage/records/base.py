"""The base of every record: frozen, typed, nothing unknown accepted, identified by content."""

import hashlib
import json
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue

Level = Literal["basic", "intermediate", "advanced", "expert"]
LEVELS: tuple[Level, ...] = ("basic", "intermediate", "advanced", "expert")

Split = Literal["train", "probe", "gate", "test"]
SPLITS: tuple[Split, ...] = ("train", "probe", "gate", "test")

Paradigm = Literal["expert", "distill", "self", "rehearsal"]
PARADIGMS: tuple[Paradigm, ...] = ("expert", "distill", "self", "rehearsal")
"""The three paradigms of making data, and the rows that keep what the start could do."""


RowKind = Literal["examples", "pairs", "unpaired", "prompts"]
"""What an objective learns from: examples, pairs of answers, single answers that are wanted or not, its own answers to
prompts."""


class Record(BaseModel):
    """Whatever crosses a stage. Frozen; unknown keys are refused; JSON in, equal JSON out."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    def to_json(self) -> str:
        """Return one line of JSON without the fields that are at their default."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Parse one line of JSON; raises ``pydantic.ValidationError``."""
        return cls.model_validate_json(line)


def content_id(*content: JsonValue) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of ``content`` as canonical JSON."""
    written = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()[:16]
