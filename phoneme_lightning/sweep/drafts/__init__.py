"""What to run next: round files, drafted from what a round taught."""
