"""What papers printed, and whether it agrees with itself.

The numbers are a CSV file, what the papers say of them a YAML file."""
