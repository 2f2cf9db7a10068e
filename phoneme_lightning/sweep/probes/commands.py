"""What the commands of probes do."""

__all__: list[str] = []
