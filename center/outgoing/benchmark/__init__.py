"""The benchmark: what a quarter's tables are made of, the job that makes them, and what people see of them."""
