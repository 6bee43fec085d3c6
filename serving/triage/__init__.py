"""The embedded default: feedback triage, and the adapter and student that ship for it."""
