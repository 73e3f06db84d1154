"""The SQL database of accounts, ledger and declarations."""
