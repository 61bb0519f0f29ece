"""The bundled synthetic suite: rows made by rules from a lexicon of plain English, the same everywhere.

`suite` is the source; every other module generates one or two tasks. May import what `harness.data` may.
"""
