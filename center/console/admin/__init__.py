"""Administration: people, tokens, audit."""
