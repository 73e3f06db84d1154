"""The directory of trades, machine kinds and firms: who sees which, how it is searched, and files in and out."""
