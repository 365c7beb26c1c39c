"""Readers of other load testers' result files, so that a team can keep its tool and still use the gates."""
