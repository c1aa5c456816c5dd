"""Ferry: carry an Azure Local update across an air gap, and bring back what happened."""

__version__ = "0.1.0"
