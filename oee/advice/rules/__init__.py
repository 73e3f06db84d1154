"""One file for each rule, which holds it as `RULE`; a file that is put here is found (`oee/advice/catalogue.py`)."""
