"""What a store and a delivery ledger owe the center."""
