"""``export.json``: what stands in an exported folder, and how it was proved."""

from typing import Literal

from pydantic import Field

from tutelage.origin import ModelOrigin
from tutelage.records import Record

Kind = Literal["adapter", "model"]


class Parity(Record):
    """How far a folder that was read again is from the model that it was made of; logits in standard deviations.

    ``written`` is the largest difference from the same weights in this package, ``scored`` the mean one from the model
    as it is scored (``scored_largest`` the largest): merged, and rounded to the arithmetic of the run. ``same_answers``
    of ``answers`` greedy answers are equal token for token to those of the model as it is scored; where one parts, the
    two tokens are ``widest_tie`` apart in the folder's logits. What is tolerated stands beside each.
    """

    rows: int
    tokens: int
    written: float
    written_tolerance: float
    scored: float
    scored_largest: float
    scored_tolerance: float
    answers: int
    same_answers: int
    widest_tie: float
    tie_tolerance: float

    @property
    def holds(self) -> bool:
        """Whether every difference is tolerated; one that is no number is not."""
        return (
            self.written <= self.written_tolerance
            and self.scored <= self.scored_tolerance
            and self.widest_tie <= self.tie_tolerance
        )

    @property
    def words(self) -> str:
        """All of it in a sentence or two."""
        said = (
            f"Read again, its logits are off by {self.written:.2g} standard deviations at most from the weights that "
            f"were written ({self.written_tolerance:g} tolerated), and by {self.scored:.2g} in the mean from the model "
            f"as it is scored ({self.scored_tolerance:g} tolerated), over {self.tokens} tokens. "
            f"{self.same_answers} of {self.answers} greedy answers are the same"
        )
        if self.same_answers < self.answers:
            return f"{said}; the others part where two tokens are as likely ({self.widest_tie:.2g} apart)."
        return f"{said}."


class Exported(Record):
    """What was exported: of which run or tuning, as what, and what was measured.

    ``rounded`` is the share of the adapter's effect that rounding the merged weights to ``dtype`` costs (None: nothing
    was merged and rounded). ``gguf`` is the largest difference of the GGUF file's logits, read again, from the folder's
    own, in standard deviations. ``files`` are SHA-256 by name, ``lines`` what loads or serves the folder.
    """

    source: str
    label: str
    kind: Kind
    base: ModelOrigin
    license: str
    weights: str
    dtype: str
    rounded: float | None = None
    parity: Parity
    gguf: float | None = None
    gguf_tolerance: float | None = None
    files: dict[str, str] = Field(default_factory=dict)
    lines: tuple[tuple[str, str], ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def proof(self) -> str:
        """How the folder was proved, in words."""
        if self.gguf is None:
            return self.parity.words
        return (
            f"{self.parity.words} The GGUF file, read again, is off from the folder by {self.gguf:.2g} standard "
            f"deviations at most ({self.gguf_tolerance:g} tolerated), both in float32."
        )

    @property
    def rounding(self) -> str:
        """What rounding the merged weights costs, in words; empty where nothing was rounded."""
        if self.rounded is None:
            return ""
        return (
            f"Rounding the merged weights to {self.dtype} moves the logits by {self.rounded:.1%} of what the adapter "
            "does to them; --dtype float32 avoids that, at twice the size."
        )
