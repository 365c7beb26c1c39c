"""Notices of a release's outcome: to Slack, to GitHub, to any HTTP receiver. None of them can change the outcome."""
