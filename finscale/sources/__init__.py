"""Where data come from: one module per source, `tables` for what each data set needs, `fetch` to ask for it.

A source returns a series exactly as published, with the columns of `tables.COLUMNS`; validation judges it and
nothing here repairs it. Heavy client libraries are imported by the source that needs them.
"""
