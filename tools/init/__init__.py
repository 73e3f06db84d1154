"""`nhip init`: questions and answers to a site file."""
