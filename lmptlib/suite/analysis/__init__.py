"""What notebooks measure: cases, embeddings, loss landscapes, probabilities, rankings, lessons.

Runs and arrays in, DataFrames out."""
