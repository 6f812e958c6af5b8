"""Answers in a form, from any completer.

| file | what it holds |
|---|---|
| ``asking`` | asked, read, asked for again, counted |
| ``forms`` | a pydantic model or a JSON schema as a form |
| ``json_text`` | JSON in what a model wrote |
"""
