"""lmptlib: prompt tuning of a frozen CLIP for long-tailed multi-label recognition."""

__version__ = "0.1.0"
