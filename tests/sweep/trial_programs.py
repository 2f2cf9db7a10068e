"""Stand-ins for phoneme-cli that start at once: each does one thing that a trial may do.

    main: PROGRAM DEED [ARGUMENTS]

As a script it is a worker that starts such trials.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Do the deed."""
    deed, *arguments = sys.argv[1:]
    globals()[f"do_{deed}"](*arguments)


def write(file, value):
    """Write a file that is whole or not there."""
    partial = Path(f"{file}.partial")
    partial.write_text(json.dumps(value))
    partial.rename(file)


def do_tell(file, calculate=None):
    """Write down how this process was set up."""
    facts = {
        "argv": sys.argv,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "leads": os.getpid() == os.getpgid(0) == os.getsid(0),
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "stdin": os.readlink("/proc/self/fd/0"),
        "loaded": [name for name in ("torch", "lightning", "wandb") if name in sys.modules],
    }
    if calculate:
        import numpy
        import torch

        facts |= {
            "random": [random.random(), numpy.random.rand(), float(torch.rand(()))],  # noqa: NPY002
            "threads": torch.get_num_threads(),
        }
    print("to stdout")
    print("to stderr", file=sys.stderr)
    write(file, facts)


def do_exit(code):
    """Leave with a code."""
    sys.exit(int(code))


def do_crash():
    """Raise."""
    raise ZeroDivisionError("planted")


def do_die(number):
    """Die by a signal."""
    os.kill(os.getpid(), int(number))
    time.sleep(60)


def do_hang(file):
    """Go deaf to SIGTERM with a child, and write down both ids."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    write(file, [os.getpid(), child.pid])
    time.sleep(600)


def do_complete(folder, code):
    """Write an outcome, and leave with a code that tells something else."""
    from phoneme_lightning.training.outcome import Outcome, write_outcome

    write_outcome(folder, Outcome("completed", step=5))
    sys.exit(int(code))


def do_say(text, code):
    """Print something, and leave with a code."""
    print(text)
    sys.exit(int(code))


def do_obey(file):
    """Sleep until SIGTERM, as a fit that needs a while; then leave with 143."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    write(file, os.getpid())
    time.sleep(600)


def do_eat(megabytes):
    """Fill memory."""
    hoard = []
    for _ in range(int(megabytes)):
        hoard.append(b"x" * 1_000_000)
    print("full")


def do_fit(*words):
    """Do nothing at all."""


def work(kind, folder):
    """Start two trials that hang, a third in the last moment, and die by SIGKILL."""
    from phoneme_lightning.sweep.fork import ForkLauncher
    from phoneme_lightning.sweep.launch import Job, SubprocessLauncher

    folder = Path(folder)
    with (folder / "worked").open("a") as file:
        file.write("once\n")
    fork = kind == "fork"
    launcher = ForkLauncher(__name__, []) if fork else SubprocessLauncher(__name__)
    files = [str(folder / f"{number}.json") for number in range(3)]
    jobs = [Job(["phoneme-cli", "hang", file], folder / "log", folder) for file in files]
    for job in jobs[:2]:
        launcher.launch(job)
    while not all(Path(file).exists() for file in files[:2]):
        time.sleep(0.02)
    write(folder / "third.json", launcher.launch(jobs[2]).pid)
    os.kill(os.getpid(), signal.SIGKILL)
