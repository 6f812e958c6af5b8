"""Asks an endpoint for answers with a log, as construct does: ``python teaching.py URL FOLDER COUNT``."""

import sys
from pathlib import Path

from tutelage.completers.pauses import Patience
from tutelage.completers.remote import RemoteCompleter
from tutelage.completers.replay import answer_all
from tutelage.completers.spending import Paid, Purse
from tutelage.records import Answer, Request, Sampling, user
from tutelage.records.jsonl import RecordLog


def main() -> None:
    """Ask, and say how many answers there are."""
    url, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    requests = [
        Request(id=f"r{n}", messages=(user(f"q{n}"),), sampling=Sampling(max_tokens=20), seed=n) for n in range(count)
    ]
    purse = Purse(log=RecordLog(folder / "spending.jsonl", Paid))
    with RemoteCompleter(
        url,
        "m",
        concurrency=16,
        patience=Patience(retries=8, base_s=0.002, longest_s=0.02, answer_s=1),
        purse=purse,
    ) as completer:
        answers = answer_all(
            lambda: completer, requests, log=RecordLog(folder / "answers.jsonl", Answer), chunk=32, label="teacher"
        )
    print(sum(answer.finish == "stop" for answer in answers))


if __name__ == "__main__":
    main()
