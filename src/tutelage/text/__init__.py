"""Plain-text measures without a model: words, sentences, n-grams, repetition, language.

| file | what |
|---|---|
| ``words`` | words, sentences, normal form, n-grams |
| ``repetition`` | repeated n-grams, echo of a prompt |
| ``verbatim`` | whether a quote stands in a text, typography aside |
| ``language`` | language identification (py3langid) |
| ``languages`` | names of languages, and which are taken for one another |
| ``function_words`` | words that are about nothing |
| ``rouge`` | ROUGE-L, exact and fast enough for thousands of texts |
| ``numbers`` | numbers as digits |
| ``fences`` | which lines are code |
| ``measures`` | what Gopher, C4 and FineWeb count |
| ``personal`` | personal data that has a form |
"""
