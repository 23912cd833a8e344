"""What the notebooks stand on: analyses, figures, the report, explorers, batch runs, the command `lmpt`.

The library beside it knows nothing of it and installs without it."""
