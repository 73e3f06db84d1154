"""What the gateway reports about itself: status, live, metrics."""
