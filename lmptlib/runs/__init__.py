"""Run folders read back: one run, tables and comparisons of many, a classifier, a run in a thread.

Nothing here trains but the thread, which calls `lmptlib.training`."""
