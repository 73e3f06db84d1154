"""The monthly TPM report: sums that are issued once and never change, and everything that is printed from them."""
