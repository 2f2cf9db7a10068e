"""The classifier, and everything that goes on around its steps."""
