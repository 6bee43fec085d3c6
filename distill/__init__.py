"""The loop that makes the next student."""
