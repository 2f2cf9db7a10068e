"""What the commands of drafts do."""

__all__: list[str] = []
