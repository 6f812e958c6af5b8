"""Pages in the browser (extra ``annotation``). So far one: people's work on the items of an annotation store.

| file | what |
|---|---|
| ``app`` | the application: its addresses, and what becomes of faults |
| ``door`` | who is asking: tokens, the cookie, forged requests |
| ``home`` | a person's first page: guidelines, how far they are, what they had |
| ``desk`` | one item: looked at, answered, skipped; drafts |
| ``forms`` | a form's fields as a response, and a response as fields; each fault beside its field |
| ``marks`` | stretches of text as the words in them, and back |
| ``wording`` | a response in words |
| ``showing`` | templates, and text that is safe to show |
| ``guard`` | headers of every answer, and the longest request |
| ``serving`` | the server |

Torch-free. It imports no stage: what it shows is in stores and run directories.
"""

from importlib.util import find_spec

from tutelage.errors import MissingExtra

if any(find_spec(name) is None for name in ("starlette", "uvicorn", "python_multipart", "sqlalchemy")):
    raise MissingExtra("the annotation page", "annotation")
