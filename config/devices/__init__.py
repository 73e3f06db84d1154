"""Device kinds as the site file describes them."""
