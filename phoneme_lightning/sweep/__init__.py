"""Rounds of tuning, from a file under sweeps/ to a leaderboard.

What stands where:

A round, typed:
    round, spaces, duration; round_file, round_parser, round_check, yaml12; init; lint, lint_rules.
What it will train:
    arms, halton, design, design_file; expressions, classes, keys, overrides; constraints, check;
    plan, timing, stopwatch.
Its folder, the truth:
    folder, opening, records, disk, repro, imports, doctor.
Its queue, an Optuna study:
    journal_lock, storage, storage_url, storage_sparing, storage_patient; study, study_owner,
    optuna_space, ending, liveness, claim, ledger, rebuild; exploit, learn, pruning.
Its trials, a process each:
    launch, fork, trial, attempt, memory, tracking, machine; driver, running; slurm, following.
What it taught:
    findings: evidence, a rule a file, a simulator to calibrate them; report: figures, a page, W&B.
What to do about it:
    decisions: compare, confirm, promote, test; drafts: the next round; probes: limits of a net.
What people see:
    cli, commands, screen, progress, leaderboard, conclusion, export; looks, scores, kaggle;
    dashboard.
"""
