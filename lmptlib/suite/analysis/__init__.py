"""What notebooks measure: cases, embeddings, loss landscapes, probabilities, rankings.

Runs and arrays in, DataFrames out."""
