"""The running center: its state, how it opens, its background job and its backup."""
