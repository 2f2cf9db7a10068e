"""Findings: what a round taught about itself. Pure functions, trials in, findings out.

A rule a file, each calibrated on simulated rounds: infeasible (with limits), boundary, instability,
density (with seeds), overfitting, late_noise, length, training_loss, isolation, robustness.
What tells more and never warns: importance, gradients, warmup, throughput, periodic; phones,
speakers (which may block), mixed, caveats.
`diagnose` runs them all, `simulate` makes rounds whose truth is known, `calibrate` counts how often
the rules are right.
"""
