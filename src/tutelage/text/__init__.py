"""Plain-text measures without a model: words, sentences, n-grams, repetition, language.

| file | what |
|---|---|
| ``words`` | words, sentences, normal form, n-grams |
| ``repetition`` | repeated n-grams, echo of a prompt |
| ``verbatim`` | whether a quote stands in a text, typography aside |
| ``language`` | language identification (py3langid) |
"""
