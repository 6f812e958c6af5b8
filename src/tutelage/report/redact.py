"""Record text as it is shown: made visible and bounded, or replaced by its length."""

MAX_SHOWN = 1600

# Controls would vanish, and direction marks could make a text look like another one: both are shown as symbols.
_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}
_DIRECTIONS = {code: f"[U+{code:04X}]" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_VISIBLE: dict[int, int | str] = {**_CONTROLS, **_DIRECTIONS}


def visible(text: str) -> str:
    """Return ``text`` with control characters shown and a long middle left out, which it then says."""
    clean = text.replace("\r\n", "\n").encode("utf-8", "replace").decode().translate(_VISIBLE)
    if len(clean) <= MAX_SHOWN:
        return clean
    head, tail = clean[: MAX_SHOWN * 3 // 4], clean[-MAX_SHOWN // 4 :]
    return f"{head}\n[… {len(clean) - len(head) - len(tail):,} characters left out …]\n{tail}"


def redacted(text: str) -> str:
    """Return how long ``text`` is."""
    if not text:
        return ""
    words = len(text.split())
    return (
        f"[redacted: {len(text):,} character{'s' if len(text) != 1 else ''}, {words:,} word{'s' if words != 1 else ''}]"
    )
