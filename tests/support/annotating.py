"""Somebody who annotates in a process of their own: ``python annotating.py STORE TOKEN SEED``, till nothing is left.

Says ``ready`` and begins at a line of input (or its end), so that several can begin together. Each judgment is sent
twice, as after a broken connection. Prints a line for each that the store confirmed.
"""

import random
import sys

from tutelage.annotation.responses import Rating
from tutelage.annotation.sql.queue import next_item, save_draft, submit
from tutelage.annotation.sql.store import Store


def work(place: str, token: str, seed: int) -> None:
    store, draw = Store(place), random.Random(seed)
    while (task := next_item(store, token)) is not None:
        response = Rating(scores={"quality": draw.randint(1, 5)})
        saved = save_draft(store, token, task.item.id, {"quality": 0, "at": draw.random()}, revision=task.revision)
        sent = submit(store, token, task.item.id, response, revision=saved.revision, seconds=1.0)
        again = submit(store, token, task.item.id, response, revision=saved.revision, seconds=1.0)
        assert (again.number, again.repeated) == (sent.number, True)
        sys.stdout.write(f"{task.item.id} {response.scores['quality']}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
