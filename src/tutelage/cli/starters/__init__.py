"""Files that ``tutelage init`` writes into a new folder.

| file | what |
|---|---|
| ``recipe.yaml`` | the recipe, with places to fill in |
| ``messages.jsonl`` | sample rows, for who has none yet |
| ``checks.py`` | a check of one's own |
| ``task.py`` | a task of one's own |
"""
