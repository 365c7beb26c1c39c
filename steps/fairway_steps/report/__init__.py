"""The report of a release, made from its record alone: a page, a text, a JSON object."""
