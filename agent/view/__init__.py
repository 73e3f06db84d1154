"""What a gateway knows without a center: machines, this shift's figures, open questions; for screens beside the machines."""
