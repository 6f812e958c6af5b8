"""Signs of degeneration: repeated n-grams and echo of the prompt."""

from collections import Counter

from tutelage.text.words import ngrams, normalize


def repeated_share(text: str, n: int = 5) -> float:
    """Return the share of word ``n``-grams that occurred before in the same text, in [0, 1]."""
    counts = Counter(ngrams(normalize(text).split(), n))
    total = sum(counts.values())
    return (total - len(counts)) / total if total else 0.0


def longest_echo(prompt: str, text: str) -> int:
    """Return the length in words of the longest run of words that ``text`` shares with ``prompt``."""
    left, right = normalize(prompt).split(), normalize(text).split()
    best = 0
    previous = [0] * (len(right) + 1)
    for word in left:
        row = [0] * (len(right) + 1)
        for position, other in enumerate(right, start=1):
            if word == other:
                row[position] = previous[position - 1] + 1
                best = max(best, row[position])
        previous = row
    return best
