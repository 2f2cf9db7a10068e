"""What to take from a round: comparisons, confirmation, promotion, the last look."""
