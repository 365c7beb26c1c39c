"""The numerical core: pure functions on counts and samples. The only package that imports scipy and numpy."""
