"""Projects as files of other tools and of people, in both directions.

| file | what |
|---|---|
| ``items`` | questions and answers in any file that the importers read, as items |
| ``jsonl`` | a whole project, one JSON object a line; nothing is lost |
| ``table`` | judgments as CSV, for people and their spreadsheets, and back |
| ``argilla`` | the folder that Argilla 2 writes and reads (``Dataset.to_disk``) |
| ``label_studio`` | Label Studio's tasks and labeling configuration |
"""
