"""A trained net as files that need nothing of this package."""
