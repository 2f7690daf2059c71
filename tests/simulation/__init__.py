"""The core's decisions against a simulated Daytona, from a seed: no sleep, no socket, no database."""
