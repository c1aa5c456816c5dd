"""Commands that ask whether a cluster is ready for an update. Pure; none changes anything."""
