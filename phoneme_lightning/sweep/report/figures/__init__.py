"""The figures of a round: of each the numbers first, an info tuple, and then the drawing."""
