"""A loaded model with everything that belongs to it."""

from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tutelage.models.template import ChatTemplate
from tutelage.models.virtual import VirtualTokens


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where weights come from, for manifests and for the identity of scores.

    ``id`` as given; ``sha256`` of the GGUF file or of the folder's weight files, ``revision`` the commit of a hub id;
    ``adapter`` the SHA-256 of the adapter's weights; ``merged`` whether they were added into the base; ``new_tokens``
    what the tokenizer did not have, separated by blanks. Empty: unknown or not applicable.
    """

    id: str
    kind: Literal["hub", "folder", "gguf", "default", "tiny"]
    sha256: str = ""
    revision: str = ""
    license: str = ""
    adapter: str = ""
    merged: bool = False
    new_tokens: str = ""

    @property
    def identity(self) -> str:
        """One line that names the weights: equal for equal weights however the model was called."""
        version = self.sha256[:12] or self.revision
        name = self.kind if self.kind in ("default", "tiny") else self.id.rstrip("/").rsplit("/", 1)[-1]
        adapter = f" + {'merged ' if self.merged else ''}adapter {self.adapter[:12]}" if self.adapter else ""
        more = (f" + tokens {self.new_tokens}" if self.new_tokens else "") + adapter
        return f"{name}@{version}{more}" if version else f"{name}{more}"


@dataclass(slots=True)
class Bundle:
    """A causal language model in evaluation mode, its tokenizer, its chat template and its source.

    ``rounded``: what rounding did to a merged adapter (:class:`tutelage.models.adapters.Adapted`). ``four_bit``: its
    linear layers are kept in 4 bits. ``virtual``: what an adapter of prefix or prompt tuning puts before every text;
    ``model`` alone computes without it. ``new_tokens``: ids of what the tokenizer did not have, whose rows are to be
    trained.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    template: ChatTemplate
    source: ModelSource
    rounded: float | None = None
    four_bit: bool = False
    virtual: VirtualTokens | None = None
    new_tokens: tuple[int, ...] = ()

    @property
    def context(self) -> int | None:
        """Most tokens of a text that the model was made for; None where its configuration does not say."""
        found: int | None = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return found
