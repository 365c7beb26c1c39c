"""The commands of the authoring side: render, check, and a release on one machine."""
