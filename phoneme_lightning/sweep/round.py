"""A round of tuning, typed: what its file may say. The docs of the fields are the help."""

from dataclasses import dataclass, field
from typing import Any, Literal

from phoneme_lightning.sweep.duration import Duration
from phoneme_lightning.sweep.spaces import Space

__all__ = [
    "Budget",
    "Conditional",
    "Divergence",
    "Executor",
    "Goal",
    "Objective",
    "Phase",
    "Pruning",
    "Quick",
    "Retry",
    "Round",
    "Sampler",
    "Scientific",
    "Storage",
    "Tracking",
    "Training",
]

BACKOFF, BEAT, GRACE = Duration("10s"), Duration("30s"), Duration("300s")
HOUR = Duration("1h")

Phase = Literal["explore", "exploit", "confirm", "probe"]


@dataclass
class Goal:
    """What a round is to teach: one thing."""

    question: str
    """The question that the round answers, as a sentence."""

    kind: Literal["try a change", "understand", "minimise"] = "understand"
    """What the round is for: to try a change, to understand a hyperparameter, or to minimise."""

    parent: str | None = None
    """Name of the round that this one follows from."""


@dataclass
class Objective:
    """What trials are ranked by; best, final and last-k are recorded whichever is chosen."""

    metric: str = "val/frame_accuracy"
    """Column of metrics.csv."""

    mode: Literal["max", "min"] = "max"
    """Whether more or less of it is better."""

    selection: Literal["best", "final", "last"] = "best"
    """Best over training, the final one, or the mean of the last few."""

    last: int = 5
    """Number of validations of which the last mean is taken."""


@dataclass
class Budget:
    """How much may be spent."""

    points: int
    """Points an arm: settings of the nuisance hyperparameters. A grid has at most so many, unless
    its choices alone are more."""

    parallel: int | Literal["auto"] = "auto"
    """Trials at once on this machine; auto: one a GPU, else one for each CPU core and 3 GiB."""

    threads: int = 1
    """CPU threads of a trial."""

    trial_time: Duration | None = None
    """Time that an attempt at a trial may take, such as 90s, 30m or 2h; then it is stopped."""

    total_time: Duration | None = None
    """Time after which this round starts no further trial."""


@dataclass
class Training:
    """How long every trial trains."""

    steps: int
    """Optimizer steps."""

    evaluate_every: int
    """Steps between validations."""

    keep: int = 1
    """Best checkpoints that a trial keeps."""


@dataclass
class Scientific:
    """A hyperparameter that the question is about: `values`, or a `range` cut into buckets."""

    values: Any = None
    """Its values, one an arm: a list, or a mapping from an arm's name to a value. Under a key
    without a dot each value is a mapping of dotted keys. A value with a class_path is whole: all
    init_args that it does not give are the class's own defaults."""

    range: Space | None = None
    """A space (a number's) to draw from in place of values."""

    buckets: int = 4
    """Equal parts of the range; each is an arm and gets as many points as the others."""

    inherit: list[str] = field(default_factory=list)
    """Names of init_args that an arm with a class_path keeps from base configs and overrides."""


@dataclass
class Conditional:
    """What holds only where other hyperparameters have certain values."""

    when: dict[str, Any]
    """Key -> value, or list of values; all must hold. A key is a scientific one (its value may be
    an arm's name for it), a categorical nuisance one, or `arm`, for names of whole arms."""

    nuisance: dict[str, Space] = field(default_factory=dict)
    """Nuisance hyperparameters that exist only there, or have another range there."""

    derived: dict[str, Any] = field(default_factory=dict)
    """Derived keys there."""

    fixed: dict[str, Any] = field(default_factory=dict)
    """Fixed hyperparameters there."""


@dataclass
class Sampler:
    """Where the points come from."""

    kind: Literal["halton", "grid", "list", "gp", "tpe"] = "halton"
    """Explore: halton, a grid of 1 or 2 hyperparameters, or a list. Exploit: gp (up to 10
    hyperparameters, none conditional) or tpe."""

    seed: int = 0
    """Seed of the points."""

    points: list[dict[str, Any]] = field(default_factory=list)
    """The points of a list: key -> value, for each nuisance hyperparameter."""

    learn_from: list[str] = field(default_factory=list)
    """Rounds whose trials an exploit round begins from: names or folders."""


@dataclass
class Divergence:
    """When a trial's setting has failed, besides a loss that is no number."""

    chance_after: int | None = None
    """Steps after which a trial no better than the most frequent phone is given up; null: never."""

    loss_above: float | None = 20.0
    """Validation loss, in nats, above which a trial is given up; null: never."""

    lost_gradients: int = 20
    """Gradients in a row that may not be finite before a trial is given up."""


@dataclass
class Pruning:
    """Whether weak trials of an exploit round end early."""

    kind: Literal["none", "median", "hyperband"] = "none"
    """The rule. It censors the curves that findings are read from."""

    warmup_steps: int = 0
    """Steps before which no trial is pruned."""


@dataclass
class Retry:
    """What becomes of a trial that its machine interrupted."""

    attempts: int = 3
    """Attempts at a trial in all."""

    backoff: Duration = BACKOFF
    """Wait before the second attempt; it doubles with each further one."""


@dataclass
class Storage:
    """Where the Optuna study is: the queue, and what dashboards read."""

    url: str = "journal"
    """journal, a file in the round's folder; or the URL of a database without its password, such
    as postgresql://me@host/studies; or where the URL stands, env:NAME or file:PATH."""

    beat: Duration = BEAT
    """Time between a worker's signs of life."""

    grace: Duration = GRACE
    """Silence after which a worker counts as dead."""


@dataclass
class Executor:
    """How a trial's process starts, and where; all but the kind is for slurm."""

    kind: Literal["auto", "fork", "subprocess", "slurm"] = "auto"
    """fork from a process that has everything loaded, or a plain `phoneme-cli fit`; auto forks
    on a CPU; slurm has workers in SLURM's queue do as auto does."""

    array: int = 4
    """Workers, each a job of one array."""

    time: Duration = HOUR
    """Time that SLURM gives a worker; before it is over the worker queues again."""

    partition: str | None = None
    """Partition; null: the cluster's default."""

    gpus: int = 0
    """GPUs of a worker."""

    cpus: int | None = None
    """CPU cores of a worker; null: budget.threads for each of its trials at once."""

    options: list[str] = field(default_factory=list)
    """Further options of sbatch, such as --mem=16G or --account=speech."""

    template: str | None = None
    """Script to submit; null: one that only starts the worker. The round's folder keeps a copy."""


@dataclass
class Tracking:
    """Where trials are tracked."""

    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """As `wandb.mode` of phoneme-cli."""

    project: str = "phoneme-lightning"
    """Project in W&B."""


@dataclass
class Quick:
    """What `--quick` cuts: a demonstration of a few minutes, whose figures are no evidence."""

    points: int = 4
    """Points an arm."""

    steps: int = 60
    """Optimizer steps."""

    evaluate_every: int = 20
    """Steps between validations."""

    overrides: dict[str, Any] = field(default_factory=dict)
    """Keys of phoneme-cli that make the net small."""


@dataclass
class Round:
    """One turn of the playbook's loop: a goal, a design, trials, and what they taught."""

    goal: Goal
    """What the round is to teach."""

    base: list[str]
    """Config files as for phoneme-cli; further down wins."""

    budget: Budget
    """How much may be spent."""

    training: Training
    """How long every trial trains."""

    name: str = ""
    """Name of the round and of its folder; the file's name where it is missing."""

    phase: Phase = "explore"
    """explore, exploit, confirm or probe."""

    overrides: dict[str, Any] = field(default_factory=dict)
    """Keys of phoneme-cli, dotted or nested, over the base configs."""

    objective: Objective = field(default_factory=Objective)
    """What trials are ranked by."""

    scientific: dict[str, Scientific] = field(default_factory=dict)
    """Hyperparameters that the question is about, by key."""

    nuisance: dict[str, Space] = field(default_factory=dict)
    """Hyperparameters to tune for each arm, by key; a key without a dot is a variable for
    derived keys."""

    derived: dict[str, Any] = field(default_factory=dict)
    """Keys whose whole value is calculated, such as [1 - x, 0.999]. A string is an expression:
    numbers, keys that the round sets, + - * / **, round(), min(), max() and int()."""

    conditional: list[Conditional] = field(default_factory=list)
    """What holds only for some arms or choices."""

    fixed: dict[str, Any] = field(default_factory=dict)
    """Hyperparameters held at one value for this goal: each is a caveat."""

    caveats: list[str] = field(default_factory=list)
    """Further reasons for which the answer may not carry over."""

    constraints: list[str] = field(default_factory=list)
    """Comparisons that a trial must satisfy, such as `parameters <= 10e6`."""

    sampler: Sampler = field(default_factory=Sampler)
    """Where the points come from."""

    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds; every point is trained with each."""

    divergence: Divergence = field(default_factory=Divergence)
    """When a trial's setting has failed."""

    pruning: Pruning = field(default_factory=Pruning)
    """Whether weak trials of an exploit round end early."""

    retry: Retry = field(default_factory=Retry)
    """What becomes of interrupted trials."""

    storage: Storage = field(default_factory=Storage)
    """Where the study is."""

    executor: Executor = field(default_factory=Executor)
    """How a trial's process starts."""

    tracking: Tracking = field(default_factory=Tracking)
    """Where trials are tracked."""

    quick: Quick = field(default_factory=Quick)
    """What --quick cuts."""

    evidence: bool = True
    """False for what --quick made: written by it, not by hand."""
