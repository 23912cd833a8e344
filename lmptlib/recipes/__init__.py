"""Named, complete sets of settings, a YAML file each, and their reading.

Rows of the published tables are recipes too."""
