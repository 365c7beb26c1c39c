"""Release workflows, composed from the steps: authoring, checking, and running them on one machine."""
