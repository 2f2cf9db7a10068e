"""A round for the eyes: in Weights & Biases."""
