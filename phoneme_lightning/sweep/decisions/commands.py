"""What the commands of decisions do."""

__all__: list[str] = []
