"""What an annotator can do wrong, by name, so that a page can answer each in its own way."""

from tutelage.errors import TutelageError


class AnnotationError(TutelageError):
    """A project, item, annotator or judgment that the store cannot take or find (exit code 2)."""

    exit_code = 2


class UnknownToken(AnnotationError):
    """A token that belongs to nobody, or to somebody who is no longer asked."""

    def __init__(self) -> None:
        super().__init__(
            "the token belongs to nobody who is asked here",
            where="token",
            remedy="copy the whole of it, or ask for a new one: tutelage annotate invite",
        )


class UnknownItem(AnnotationError):
    """No item of this id is in the project."""

    def __init__(self, item: str) -> None:
        super().__init__(
            "there is no item of this id in your project",
            where=f"item {item}",
            remedy="ask for the next one and use its id",
        )


class NotGiven(AnnotationError):
    """The item is in the project, and this person was never given it."""

    def __init__(self, item: str) -> None:
        super().__init__(
            "you were never given this item", where=f"item {item}", remedy="ask for the next one and use its id"
        )


class StaleRevision(AnnotationError):
    """The item was changed meanwhile, in another window perhaps; ``current`` is the revision to start from."""

    def __init__(self, item: str, *, received: int, current: int) -> None:
        super().__init__(
            "it was changed meanwhile, in another window perhaps",
            where=f"item {item}",
            received=f"revision {received}; the store has {current}",
            remedy="load it again; nothing was overwritten",
        )
        self.current = current
