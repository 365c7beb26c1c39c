"""Back ends that carry a service's traffic to its versions, behind one protocol."""
