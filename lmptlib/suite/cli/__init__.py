"""The command `lmpt`, a file a command.

Each imports what it needs when it is called, so that `lmpt --help` is quick."""
