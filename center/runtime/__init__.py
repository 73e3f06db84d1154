"""The running center: its state and health, how it opens, its roll-up job, its backup."""
