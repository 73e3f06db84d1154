"""One file per protocol; the file's name is the config's `kind`. See `contract.py` for what each one owes."""
