"""Framewise phoneme classification, tuned the way the deep learning tuning playbook says."""

__version__ = "0.1.0"
