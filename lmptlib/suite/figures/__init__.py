"""Figures, one file a subject: DataFrames in, `plotly.graph_objects.Figure` out; the seaborn twins for a paper.

Nothing here shows a figure or reads a file."""
