"""Sources of evidence: what the versions did, as whole counts in strata."""
