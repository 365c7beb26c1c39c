"""The collector: the backend of a mirror, which asks the candidate, of a share also the primary, and compares their answers."""
