"""What a trained model gives: predictions, scores, pictures."""
