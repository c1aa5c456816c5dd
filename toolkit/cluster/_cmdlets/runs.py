"""Commands about update runs. Pure."""
