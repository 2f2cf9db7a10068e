"""What the commands of probes do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phoneme_lightning.sweep.findings.evidence import Evidence
    from phoneme_lightning.sweep.findings.finding import Finding
    from phoneme_lightning.sweep.folder import RoundFolder
    from phoneme_lightning.sweep.probes.advice import Advice
    from phoneme_lightning.sweep.probes.stability import Stability

__all__: list[str] = []

OF_SIZES = (
    "Both scales are logarithmic. While a step takes as long as with half the frames, throughput "
    "follows the dashed line; where it leaves that line the machine begins to be busy, and where "
    "it is flat a larger batch only means fewer steps in the same time."
)

OF_LOSSES = (
    "The loss of each training batch. A red cross marks where a loss breaks: from there it rises "
    "by a tenth and more than its jitter explains, or is no number any more."
)

OF_FITS = (
    "The mean over an epoch. The dotted line is a perfect fit; a dot marks where a training got "
    "there, and was ended."
)


def probe_batch(
    subject: Sequence[str],
    sets: Sequence[str],
    root: Path,
    most: int | None,
    seconds: float,
    threads: int | None,
) -> None:
    from phoneme_lightning.sweep.probes.advice import write_probe
    from phoneme_lightning.sweep.probes.batch import KEY, judge_sizes
    from phoneme_lightning.sweep.probes.sizes import measure_sizes
    from phoneme_lightning.sweep.probes.subject import find_subject
    from phoneme_lightning.sweep.report.document import lone_figure
    from phoneme_lightning.sweep.report.figures.probe import batch_figure, batch_info

    known = find_subject(subject, sets, root)
    folder = root / f"{known.name}-probe-batch"
    measured = measure_sizes(known, folder / "sizes", seconds, threads, most)
    finding, advice = judge_sizes(
        measured.sizes, int(known.number(KEY)), measured.ended, measured.out_of_memory
    )
    info = batch_info(measured.sizes, finding.numbers["knee"], measured.ended)
    page = lone_figure(folder.name, finding.sentence, batch_figure(info), OF_SIZES)
    write_probe(folder, finding, info, page, advice)


def _write_losses(
    folder: "RoundFolder",
    evidence: "Evidence",
    found: "Mapping[str, Stability]",
    finding: "Finding",
    advice: "Advice",
) -> None:
    from phoneme_lightning.sweep.probes.advice import write_probe
    from phoneme_lightning.sweep.report.document import lone_figure
    from phoneme_lightning.sweep.report.figures.probe import lines_figure, losses_info

    info = losses_info(evidence, {arm: one.step for arm, one in found.items()})
    page = lone_figure(folder.name, finding.sentence, lines_figure(info), OF_LOSSES)
    write_probe(folder.path, finding, info, page, advice)


def probe_lr(
    subject: Sequence[str],
    sets: Sequence[str],
    root: Path,
    lr: float | None,
    steps: int,
    parallel: int | None,
) -> int:
    from phoneme_lightning.sweep.probes.lr import (
        TIMES,
        gradient_norms,
        judge_curves,
        judge_rates,
        lr_round,
        read_setting,
    )
    from phoneme_lightning.sweep.probes.rounds import run_probe
    from phoneme_lightning.sweep.probes.subject import find_subject

    known = find_subject(subject, sets, root)
    setting = read_setting(known, lr)
    ran = run_probe(lr_round(known, setting, steps, parallel), root)
    if ran is None:
        return 1
    folder, evidence = ran
    warmups = dict.fromkeys(evidence.arms(), setting.warmup)
    found = judge_curves(evidence, warmups, usual="1x")
    by_times = {times: found[f"{times}x"] for times in TIMES}
    finding, advice = judge_rates(setting, by_times, gradient_norms(evidence), known.words)
    _write_losses(folder, evidence, found, finding, advice)
    return 0


def probe_warmup(
    subject: Sequence[str],
    sets: Sequence[str],
    root: Path,
    unstable: float | None,
    times: float,
    steps: int | None,
    parallel: int | None,
) -> int:
    from phoneme_lightning.sweep.keys import WARMUP
    from phoneme_lightning.sweep.probes.lr import judge_curves
    from phoneme_lightning.sweep.probes.rounds import run_probe
    from phoneme_lightning.sweep.probes.subject import find_subject
    from phoneme_lightning.sweep.probes.warmup import (
        base_rate,
        judge_ladder,
        ladder,
        warmup_round,
    )

    known = find_subject(subject, sets, root)
    base = base_rate(known.name, unstable, times, root)
    whole = known.steps(steps)
    rungs = ladder(whole)
    ran = run_probe(warmup_round(known, base, rungs, parallel), root)
    if ran is None:
        return 1
    folder, evidence = ran
    found = judge_curves(evidence, {str(rung): rung for rung in rungs})
    by_rung = {rung: found[str(rung)] for rung in rungs}
    finding, advice = judge_ladder(base, whole, int(known.get(WARMUP, 0)), by_rung)
    _write_losses(folder, evidence, found, finding, advice)
    return 0


def probe_steps(
    subject: Sequence[str],
    sets: Sequence[str],
    root: Path,
    steps: int | None,
    rates: Sequence[float] | None,
    fit: float,
    utterances: int | None,
    parallel: int | None,
) -> int:
    from phoneme_lightning.sweep.keys import LEARNING_RATE
    from phoneme_lightning.sweep.probes.advice import write_probe
    from phoneme_lightning.sweep.probes.rounds import run_probe
    from phoneme_lightning.sweep.probes.steps import (
        first_fits,
        grid,
        judge_fits,
        steps_round,
        training_set,
    )
    from phoneme_lightning.sweep.probes.subject import find_subject
    from phoneme_lightning.sweep.report.document import lone_figure
    from phoneme_lightning.sweep.report.figures.probe import accuracies_info, lines_figure

    known = find_subject(subject, sets, root)
    tried = list(rates) if rates else grid(known.number(LEARNING_RATE))
    most = known.steps(steps)
    part = training_set(known, utterances, root.parent / "probe-corpora")
    ran = run_probe(steps_round(known, tried, most, fit, part, parallel), root)
    if ran is None:
        return 1
    folder, evidence = ran
    found = first_fits(evidence, part.batches, fit)
    finding, advice = judge_fits(found, most, fit, part.words)
    steps_of = {f"{rate:g}": one.step for rate, one in found.items()}
    info = accuracies_info(evidence, part.batches, fit, steps_of)
    page = lone_figure(folder.name, finding.sentence, lines_figure(info), OF_FITS)
    write_probe(folder.path, finding, info, page, advice)
    return 0
