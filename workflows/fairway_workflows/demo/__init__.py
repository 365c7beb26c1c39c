"""A whole canary on one machine: real model servers, a real proxy, real traffic."""
