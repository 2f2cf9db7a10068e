"""One fit on several devices: the processes that share it, its ranks, and what each may do."""

import logging
import os
import signal
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ParallelStrategy
from lightning.pytorch.utilities import rank_zero_only

from phoneme_lightning.errors import InputError
from phoneme_lightning.training.outcome import lost_others
from phoneme_lightning.training.run import TERMINATED

__all__ = [
    "ALONE",
    "FOLDER",
    "LIFELINE",
    "PATIENCE_SECONDS",
    "Ranks",
    "find_ranks",
    "is_supervised",
    "leave_if_alone",
]

FOLDER, LIFELINE = "PHONEME_RANKS_FOLDER", "PHONEME_RANKS_LIFELINE"
"""Environment variables by which a rank knows its run's folder, and whether its starter lives."""

ALONE = os.EX_TEMPFAIL
"""Exit code of a rank that leaves because another has gone."""

PATIENCE_SECONDS = 10.0
"""How long ranks may take to notice that one is gone, and again to leave when told."""

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")


@dataclass(frozen=True)
class Ranks:
    """The processes that work on one fit.

    Attributes:
        size: how many, on all machines.
        rank: which of them this is; the first, 0, writes the run's folder and talks.
        here: how many this one has to start on its machine; 0 where it is one of them itself.
        environment: where they meet.
    """

    size: int = 1
    rank: int = 0
    here: int = 0
    environment: ClusterEnvironment | None = field(default=None, repr=False)

    def folder(self, given: str | None) -> Path | None:
        """Give the run's folder where it is not for this process to make it; else None.

        Args:
            given: as the config names it.

        Raises:
            InputError: processes that were started apart would each make one of their own.
        """
        if self.size == 1 or self.here == self.size:
            return None
        if is_supervised():
            return Path(os.environ[FOLDER])
        if given is None:
            raise InputError(
                f"run.folder is missing: the {self.size} processes of this fit are started apart, "
                "and each would make a folder of its own: give one for all"
            )
        return Path(given) if self.rank else None

    @property
    def plugins(self) -> list[ClusterEnvironment]:
        """What keeps a lone process in a job of many tasks from being taken for one of those."""
        tasks = os.environ.get("SLURM_NTASKS", "1")
        return [LightningEnvironment()] if self.size == 1 and tasks != "1" else []

    @property
    def callbacks(self) -> list[Callback]:
        """What a trainer needs where there are several."""
        return [_EndAtOnce()] if self.size > 1 else []


def is_supervised() -> bool:
    """Tell whether this process is a rank that `run_ranks` has started."""
    return FOLDER in os.environ


def find_ranks(options: Any) -> Ranks:
    """Find out which processes work on a fit, and which of them this is.

    A rank other than the first stays silent from here on.

    Args:
        options: the `trainer` section of the config.

    Raises:
        InputError: it names the key.
    """
    # Lightning says so wherever SLURM is installed; this command starts its ranks by itself.
    warnings.filterwarnings("ignore", "The `srun` command is available")
    # It says so of scores that have been taken over all ranks.
    warnings.filterwarnings("ignore", "It is recommended to use .* sync_dist=True")
    devices = 1 if options.devices == "auto" else options.devices
    if devices in (1, "1", [0]) and options.num_nodes == 1:
        return _one()
    if options.strategy not in STRATEGIES:
        raise InputError(
            f"trainer.strategy is {options.strategy!r}: a fit on several devices wants ddp"
        )
    try:
        trainer = Trainer(
            accelerator=options.accelerator,
            devices=devices,
            num_nodes=options.num_nodes,
            strategy=options.strategy,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"trainer.devices is {options.devices}, trainer.num_nodes {options.num_nodes}: "
            f"{str(error).rstrip('.')}: give how many there are"
        ) from error
    size = trainer.num_devices * trainer.num_nodes
    if size == 1:
        return _one()
    assert isinstance(trainer.strategy, ParallelStrategy)
    environment = trainer.strategy.cluster_environment
    assert environment is not None
    if trainer.world_size != size:
        raise InputError(
            f"trainer.devices and trainer.num_nodes make {size} processes, but "
            f"{trainer.world_size} were started: make them equal, as by srun --ntasks-per-node"
        )
    if trainer.global_rank:
        logging.getLogger("phoneme_lightning").setLevel(logging.WARNING)
        warnings.simplefilter("ignore")
    starts = not environment.creates_processes_externally
    if LIFELINE in os.environ:
        _die_with(int(os.environ.pop(LIFELINE)))
    here = trainer.num_devices if starts else 0
    return Ranks(size, trainer.global_rank, here, environment)


def _one() -> Ranks:
    """Be alone, whatever number a cluster has given the process."""
    rank_zero_only.rank = 0  # type: ignore[attr-defined]
    return Ranks()


def _die_with(sentinel: int) -> None:
    """Leave once the process that started this one is gone, which alone could end a hung one."""
    os.set_inheritable(sentinel, False)

    def watch() -> None:
        os.read(sentinel, 1)  # nobody writes: it ends with its last writer
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_SECONDS)
        os._exit(TERMINATED)

    Thread(target=watch, name="die with the starter", daemon=True).start()


def leave_if_alone(error: BaseException) -> None:
    """Leave without a traceback where another rank has gone: why it went is the fit's end.

    Args:
        error: which has come up here.

    Raises:
        SystemExit: it says that another is gone.
    """
    if not lost_others(error):
        return
    is_first = getattr(rank_zero_only, "rank", 0) == 0
    if not (is_first and is_supervised()):  # whose starter says more
        print(f"error: another rank is gone: {' '.join(str(error).split())}", file=sys.stderr)
    raise SystemExit(ALONE) from error


class _EndAtOnce(Callback):
    """Let SIGTERM end a rank as it ends a fit on one device.

    Lightning's own handler sends the other ranks a message first, between whatever messages they
    just exchange, and both may wait for ever.
    """

    def __init__(self) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def _take(self, trainer: Trainer, pl_module: LightningModule) -> None:
        signal.signal(signal.SIGTERM, self.handler)

    on_train_start = on_validation_start = on_test_start = on_predict_start = _take
