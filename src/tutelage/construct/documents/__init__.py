"""Documents to instructions: read, cut, ask the teacher, keep what it can quote.

| file | what |
|---|---|
| ``decoding`` | bytes of a text file as text, or why not |
| ``markup`` | HTML as blocks: headings and paragraphs |
| ``converting`` | PDF, DOCX, HTML, Markdown and plain text as blocks |
| ``reading`` | files and folders as documents; every file that cannot be read, with its reason |
| ``passages`` | documents cut at headings, paragraphs and sentences |
| ``asking`` | the requests, and what is wrong with an answer |
| ``rows`` | rows with their lineage, and rows that teach to abstain |
| ``source`` | a round's rows from documents, with ledgers that add up |
"""
