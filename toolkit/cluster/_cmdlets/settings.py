"""Commands that ask how nodes are set up, and what they reach. Pure; none changes anything."""
