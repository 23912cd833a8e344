"""What training costs on this machine: against a loop that computes nothing once, and against the bare text tower."""
