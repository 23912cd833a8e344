"""What is in the files: the table of images and labels, its readers, images, samplers, the emoji scenes, long tails.

Nothing here knows of a model."""
