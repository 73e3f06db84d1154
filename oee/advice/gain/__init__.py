"""What an action brought: a plan that is frozen before it is measured, and a verdict with its interval."""
