"""From a configuration to a run folder: plan, state, loop, recorder, and the folder's writing.

The loop has no `if method ==`: a method says itself what it needs."""
