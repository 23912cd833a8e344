"""Readers, one file a format: each tells of the images that it found, in a `Reading`."""
