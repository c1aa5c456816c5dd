"""Commands that an import needs on the infrastructure share. Pure."""
