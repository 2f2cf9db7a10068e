"""Speech on disk becomes a frame store."""
