"""Measured traffic: an open-loop load test with a record of every request."""
