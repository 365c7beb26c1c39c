"""Deployed versions: where they are, whether they are ready, and what becomes of them at the end of a release."""
