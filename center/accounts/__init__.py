"""Accounts of people and tokens of programs: who they are, which sites they may see, and an audit trail."""
