"""Plain-text measures without a model: words, sentences, n-grams, repetition, language.

| file | what |
|---|---|
| ``words`` | words, sentences, normal form, n-grams |
| ``repetition`` | repeated n-grams, echo of a prompt |
| ``language`` | language identification (py3langid) |
"""
