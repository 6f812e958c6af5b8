"""A key-value cache of slots: rows come and go, the prefix that all prompts share is kept and read once.

The cache and its attention function enter transformers through its two extension points, a ``Cache`` subclass and
``AttentionInterface``; nothing of the model is replaced. Letters of shapes: B slots, H key-value heads, G query heads
a key-value head, D head width, P prompts in one prefill, S tokens of the longest of them, F tokens of the shared
prefix, virtual tokens included, C columns.
"""

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin

from tutelage.models.virtual import VirtualTokens

ATTENTION = "tutelage_slots"
"""Name under which the attention function is registered."""


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer: the prefix (H, F, D) and the slots (B, H, C, D)."""

    def __init__(self, slots: "SlotCache") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots = slots
        self.prefix_keys: torch.Tensor | None = None
        self.prefix_values: torch.Tensor | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Take type, device and widths from the first keys and values; zeros, because garbage times 0 may be NaN."""
        _, heads, _, width = key_states.shape
        shape = (self.slots.rows, heads, self.slots.columns)
        self.keys = key_states.new_zeros((*shape, width))
        self.values = value_states.new_zeros((*shape, value_states.shape[-1]))
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new keys and values where the cache's mode says; return those of the slots, without the prefix."""
        slots = self.slots
        if slots.mode == "prefix":
            if self.prefix_keys is not None and self.prefix_values is not None:  # virtual tokens stand there
                key_states = torch.cat((self.prefix_keys[None], key_states), dim=2)
                value_states = torch.cat((self.prefix_values[None], value_states), dim=2)
            self.prefix_keys, self.prefix_values = key_states[0], value_states[0]
            return key_states, value_states
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        if slots.mode == "prefill":
            here = slice(slots.end - key_states.shape[2], slots.end)
            self.keys[slots.targets, :, here] = key_states[slots.sources]
            self.values[slots.targets, :, here] = value_states[slots.sources]
            return key_states, value_states
        self.keys[:, :, slots.end : slots.end + 1] = key_states
        self.values[:, :, slots.end : slots.end + 1] = value_states
        # All columns: a product over a slice of the columns is up to six times as slow, it copies.
        return self.keys, self.values

    def rearrange(self, rows: torch.Tensor | None, old: slice, new: slice, columns: int) -> None:
        """Keep ``rows`` (None: all), move the columns ``old`` to ``new`` and make room for ``columns``."""
        for name in ("keys", "values"):
            states = getattr(self, name)
            if states is None:
                continue
            kept = states[:, :, old] if rows is None else states[rows][:, :, old]
            moved = states.new_zeros((kept.shape[0], states.shape[1], columns, states.shape[3]))
            moved[:, :, new] = kept
            setattr(self, name, moved)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """(key length, offset); not used, the masks are the cache's own."""
        return self.slots.end + query_length, 0

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.slots.end

    def get_max_length(self) -> int:
        """No limit: the columns grow."""
        return -1


class SlotCache(Cache):
    """Keys and values of the rows being decoded.

    All slots write to the same column ``end``; a row's own keys fill the columns from ``starts[row]`` on, so a prompt
    may join at any time by putting it, with its end at ``end``, into a free slot. ``first`` is the leftmost column that
    is still needed.
    """

    def __init__(self, rows: int, columns: int, num_layers: int) -> None:
        self.rows, self.columns = rows, columns
        self.mode = "prefix"
        self.first = self.end = 0
        self.prefix = 0
        self.starts = torch.zeros(rows, dtype=torch.long)
        self.sources = self.targets = torch.zeros(0, dtype=torch.long)
        self._masks: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}
        self.slot_layers = [SlotLayer(self) for _ in range(num_layers)]
        super().__init__(layers=list(self.slot_layers))

    def put_before(self, virtual: VirtualTokens) -> None:
        """Let virtual tokens stand before all prompts."""
        self.prefix = virtual.count
        for layer, (keys, values) in zip(self.slot_layers, virtual.layers, strict=True):
            layer.prefix_keys, layer.prefix_values = keys, values

    def begin_prefix(self, length: int) -> None:
        """The next forward pass computes the ``length`` tokens that all prompts begin with, behind virtual tokens."""
        self.mode = "prefix"
        self.prefix += length

    def begin_prefill(self, lengths: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor) -> None:
        """The next pass computes P left-padded prompts; slot ``targets[i]`` receives prompt ``sources[i]``."""
        self.mode, self.sources, self.targets = "prefill", sources, targets
        self.starts[targets.cpu()] = self.end - lengths[sources.cpu()]
        self._lengths = lengths
        self._masks.clear()

    def begin_step(self) -> None:
        """The next pass computes one token in each slot."""
        self.mode = "step"
        self._masks.clear()

    def finish_step(self) -> None:
        """Count the column that the pass has written."""
        self.end += 1

    def rearrange(self, rows: torch.Tensor | None, *, end: int, columns: int) -> None:
        """Keep ``rows`` (None: all), so that the columns in use end at ``end`` and ``columns`` of them exist."""
        old, new = slice(self.first, self.end), slice(end - (self.end - self.first), end)
        for layer in self.slot_layers:
            layer.rearrange(rows, old, new, columns)
        self.starts = (self.starts if rows is None else self.starts[rows.cpu()]) + (end - self.end)
        self.first, self.end = new.start, end
        self.rows, self.columns = len(self.starts), columns

    def prefill_mask(self, window: int, device: torch.device) -> torch.Tensor:
        """What a prompt's tokens see: bool (P, 1, S, F + S). ``window`` 0 is the whole past.

        Padding sees itself, because a row that sees nothing would become NaN and spread.
        """
        if window not in self._masks:
            padded = int(self._lengths.max())
            column = torch.arange(padded, device=device)
            real = column >= (padded - self._lengths.to(device))[:, None]
            past = column[None, :] - column[:, None]
            own = (past <= 0) & (past > -window if window else past <= 0)
            mask = (own & real[:, None]) | (past == 0)
            if self.prefix:
                seen = torch.ones((*mask.shape[:2], self.prefix), dtype=torch.bool, device=device)
                if window:
                    positions = column - (padded - self._lengths.to(device))[:, None] + self.prefix
                    seen = torch.arange(self.prefix, device=device) > positions[..., None] - window
                mask = torch.cat((seen, mask), dim=-1)
            self._masks[window] = (mask[:, None], None)
        return self._masks[window][0]

    def step_masks(self, window: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What is added to a step's scores, 0 or -inf: own columns (B, 1, 1, C), prefix (B, 1, 1, F) or None."""
        if window not in self._masks:
            column = torch.arange(self.columns)
            hidden = (column < self.starts[:, None]) | (column > self.end)
            prefix = None
            if window:
                hidden |= column <= self.end - window
                positions = self.prefix + self.end - self.starts
                prefix = _added(torch.arange(self.prefix) <= positions[:, None] - window).to(device)
            self._masks[window] = (_added(hidden).to(device), prefix)
        return self._masks[window]


def _added(hidden: torch.Tensor) -> torch.Tensor:
    return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None, None]


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    slots: SlotCache,
    sliding_window: int | None = None,
    **kwargs: object,
) -> tuple[torch.Tensor, None]:
    """Attention over a :class:`SlotCache`: ``query`` (B, H * G, S, D), keys and values of the slots.

    Returns (B, S, H * G, D).

    One token a row goes through plain batched products, which on CPUs are two to three times as fast as the fused
    kernel at query length 1; the shared prefix is read once for all rows, as one product a head (Juravsky et al. 2024,
    "Hydragen", here with one softmax over both parts instead of a combination of two).
    """
    layer = slots.slot_layers[int(module.layer_idx)]  # type: ignore[arg-type]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = sliding_window or 0
    if slots.mode == "step":
        mixed = _step(query, key, value, layer, scale, slots.step_masks(window, query.device))
    else:
        mask = None
        if slots.mode == "prefill":
            mask = slots.prefill_mask(window, query.device)
            if layer.prefix_keys is not None and layer.prefix_values is not None:
                key = torch.cat((layer.prefix_keys.expand(len(key), -1, -1, -1), key), dim=2)
                value = torch.cat((layer.prefix_values.expand(len(value), -1, -1, -1), value), dim=2)
        elif window or key.shape[2] > query.shape[2]:
            place = torch.arange(key.shape[2], device=key.device)
            past = place[None, :] - place[-query.shape[2] :, None]
            mask = (past <= 0) & (past > -window if window else past <= 0)
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale
        )
    return mixed.transpose(1, 2).contiguous(), None


def _step(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    layer: SlotLayer,
    scale: float,
    masks: tuple[torch.Tensor, torch.Tensor | None],
) -> torch.Tensor:
    rows, heads, _, width = key.shape
    query = query.reshape(rows, heads, -1, width)
    groups = query.shape[2]
    scores = torch.matmul(query, key.transpose(2, 3)).float().mul_(scale).add_(masks[0])
    if layer.prefix_keys is None or layer.prefix_values is None:
        mixed = torch.matmul(scores.softmax(-1).to(value.dtype), value)
        return mixed.view(rows, heads * groups, 1, -1)
    together = query.transpose(0, 1).reshape(heads, rows * groups, width)
    far = torch.matmul(together, layer.prefix_keys.transpose(1, 2)).float().mul_(scale)
    far = far.view(heads, rows, groups, -1).transpose(0, 1)
    if masks[1] is not None:
        far = far + masks[1]
    weights = torch.cat((far, scores), dim=-1).softmax(-1).to(value.dtype)
    prefix = far.shape[-1]
    mixed = torch.matmul(weights[..., prefix:], value)
    spread = weights[..., :prefix].transpose(0, 1).reshape(heads, rows * groups, prefix)
    mixed = mixed + torch.matmul(spread, layer.prefix_values).view(heads, rows, groups, -1).transpose(0, 1)
    return mixed.reshape(rows, heads * groups, 1, -1)


AttentionInterface.register(ATTENTION, slot_attention)
