"""Whether two run directories say the same, apart from what time and chance of scheduling put into them."""

import json
from pathlib import Path
from typing import Any

TIMED = {"seconds", "tokens_per_second", "peak_rss_bytes", "peak_device_bytes"}
"""Keys that hold times or memory."""
OF_THE_PROCESS = {"events.jsonl", "timing.jsonl", "manifest.json", "stage.json", "lock"}
"""Files about the work itself: a run that was killed has more of it."""


def contents(run: Path) -> dict[str, Any]:
    """Return every file of a run by its name, without times; logs of answers by request, in whatever order."""
    found: dict[str, Any] = {}
    for file in sorted(run.rglob("*")):
        name = str(file.relative_to(run))
        if file.is_dir() or file.name in OF_THE_PROCESS or name.startswith("report/"):
            continue
        if file.suffix == ".jsonl":
            rows = [untimed(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
            is_log = bool(rows) and "request_id" in rows[0]
            found[name] = sorted(rows, key=lambda row: row["request_id"]) if is_log else rows
        elif file.suffix == ".json":
            found[name] = untimed(json.loads(file.read_text(encoding="utf-8")))
        else:
            found[name] = file.read_bytes()
    return found


def untimed(value: Any) -> Any:
    """Return ``value`` without the keys that hold times."""
    if isinstance(value, dict):
        return {key: untimed(part) for key, part in value.items() if key not in TIMED}
    return [untimed(part) for part in value] if isinstance(value, list) else value


def differences(one: Path, other: Path) -> list[str]:
    """Return the names of files that are in one of the runs only, or say something else."""
    left, right = contents(one), contents(other)
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
