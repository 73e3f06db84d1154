"""Login, logout, and what people do with their own account."""
