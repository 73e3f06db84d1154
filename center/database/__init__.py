"""The center's SQL database, and the declarations in it."""
