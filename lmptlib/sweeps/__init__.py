"""Grids of runs: reading one, making its runs, its table.

The grids that come with the library lie here as YAML files."""
