"""What the gateway reports about itself: status, live picture, metrics."""
