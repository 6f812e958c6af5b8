"""Records of other tools' files: all faults are counted, and each is named by its record."""

import json
from pathlib import Path

import pytest

from tutelage.annotation.bundle import Bundle
from tutelage.annotation.formats.argilla import read_argilla, write_argilla
from tutelage.annotation.formats.label_studio import read_label_studio, write_label_studio
from tutelage.annotation.items import WorkItem
from tutelage.annotation.views import Project
from tutelage.annotation.work import WriteWork
from tutelage.errors import DataError
from tutelage.records import user

READERS = {
    "records.json": (write_argilla, read_argilla, "record", "a record of Argilla"),
    "tasks.json": (write_label_studio, read_label_studio, "task", "a task of Label Studio"),
}


@pytest.mark.parametrize("file", READERS)
def test_every_record_that_cannot_be_read_is_counted_and_the_first_are_named(file: str, tmp_path: Path) -> None:
    write, read, place, what = READERS[file]
    items = tuple(WorkItem(id=f"i{at}", messages=(user(f"Question {at}?"),)) for at in range(30))
    bundle = Bundle(project=Project(name="p", work=WriteWork()), items=items, judgments=())
    write(tmp_path, bundle)
    assert read(tmp_path) == bundle
    found = json.loads((tmp_path / file).read_text(encoding="utf-8"))
    found[3:] = ["not one"] * 27
    (tmp_path / file).write_text(json.dumps(found), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "27 problems in all" in str(caught.value)
    assert len(caught.value.problems) == 20
    first = caught.value.problems[0]
    assert first.where == f"{tmp_path / file}: {place} 3"
    assert first.what.startswith(f"not {what} (")
