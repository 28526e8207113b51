"""The study file: read, checked, and resolved into a search space."""
