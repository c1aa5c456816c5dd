"""The disconnected place: being built."""
