"""What the notebooks ask: guesses before a result, exercises, a quiz, and the sentences that a run's own numbers make.

A file a notebook, beside what they stand on. Questions know what is right; the notebooks' code does not show it."""
