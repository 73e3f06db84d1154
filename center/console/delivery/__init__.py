"""What has arrived from each gateway, and what is missing."""
