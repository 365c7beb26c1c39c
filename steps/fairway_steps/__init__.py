"""Release steps for inference services: the only code inside Fairway's containers."""
