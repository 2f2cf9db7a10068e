"""A round for the eyes: as a page of HTML, and in Weights & Biases."""
