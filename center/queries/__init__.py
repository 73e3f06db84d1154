"""Questions about stored facts and the answers to them, as API and console share them."""
