"""A SLURM cluster of several nodes on this one machine, for tests; as a script, to try things in.

    python tests/cluster/slurm.py      # prints what to export, and runs until Ctrl-C

Debian's slurm-wlm and munge, run by whoever starts them: a folder, ports, a key and a socket of
their own, so that several clusters, and a real one, may stand side by side.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
SBIN = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
PATIENCE_SECONDS = 30.0

CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=5
KillWait=20
OverTimeLimit=0
JobRequeue=0
MailProg=/bin/true
GresTypes=gpu
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP
PartitionName=other Nodes={last} MaxTime=INFINITE State=UP
"""

GPUS = "Name=gpu File=/dev/null,/dev/zero\n"  # nobody opens what SLURM takes for devices


def missing() -> list[str]:
    """Name the programs that a cluster needs and this machine has not."""
    return [name for name in NEEDED if not shutil.which(name, path=SBIN)]


def wait_until(true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain")
        time.sleep(0.05)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _title(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


class Cluster:
    """Nodes n1, n2, ... of a cluster, as a context manager.

    Args:
        nodes: how many.
        cpus: that each claims to have, whatever this machine has.
    """

    def __init__(self, nodes: int = 4, cpus: int = 1) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a socket's path must be short
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.cpus = cpus
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        """What makes sbatch and the others speak to this cluster."""
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Cluster":
        """Start it, and wait until every node is ready."""
        try:
            self._configure()
            self._start_munge()
            self.start_controller()
            for name in self.names:
                self.start_node(name)
            wait_until(lambda: set(self.node_states().values()) == {"idle"})
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Kill whatever of it runs, its jobs as well."""
        for name in self.names:
            self.kill_node(name)
        for name in list(self._daemons):
            self._kill(name)
        for pid in self._processes():
            if b"slurmstepd" in _title(pid):  # it would tell the controller for ever
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _configure(self) -> None:
        host = socket.gethostname().split(".")[0]
        port, *ports = _free_ports(len(self.names) + 1)
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={at} CPUs={self.cpus} "
            "RealMemory=4096 Gres=gpu:2 State=UNKNOWN"
            for name, at in zip(self.names, ports, strict=True)
        )
        told = CONFIG.format(
            host=host,
            port=port,
            user=getpass.getuser(),
            folder=self.folder,
            nodes=nodes,
            names=",".join(self.names),
            last=self.names[-1],
        )
        (self.folder / "state").mkdir()
        (self.folder / "slurm.conf").write_text(told)
        (self.folder / "gres.conf").write_text(GPUS)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.folder.chmod(0o755)  # munge insists on a socket that everybody may reach
        places = {
            "socket": "munge.sock",
            "key-file": "munge.key",
            "pid-file": "munge.pid",
            "log-file": "munge.log",
            "seed-file": "munge.seed",
        }
        words = [f"--{option}={self.folder / file}" for option, file in places.items()]
        self._start("munged", "--foreground", "--force", "--num-threads=2", *words)
        wait_until((self.folder / "munge.sock").exists)

    def _start(self, program: str, *words: str, name: str = "") -> None:
        found = shutil.which(program, path=SBIN)
        assert found, f"{program} is not installed"
        with (self.folder / f"{name or program}.out").open("ab") as out:
            self._daemons[name or program] = subprocess.Popen(
                [found, *words],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _kill(self, name: str) -> None:
        if daemon := self._daemons.pop(name, None):
            daemon.kill()
            daemon.wait()

    def run(self, *words: str) -> str:
        """Run one of SLURM's commands; give what it prints."""
        done = subprocess.run(
            words, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def node_states(self) -> dict[str, str]:
        """Give the state of each node: idle, alloc, mix, down and so on, a mark behind it."""
        with suppress(AssertionError):  # slurmctld does not answer yet
            lines = self.run("sinfo", "--noheader", "--Node", "--format=%N %t").splitlines()
            return dict(line.split() for line in lines)
        return {}

    def start_controller(self) -> None:
        """Start what keeps the queue, or start it again."""
        self._start("slurmctld", "-D")

    def stop_controller(self) -> None:
        """Let nobody answer for the queue."""
        self._kill("slurmctld")

    def start_node(self, name: str, without: Path | None = None) -> None:
        """Start a node, or start it again.

        Args:
            name: of the node.
            without: a folder that it shall not see, which root alone can arrange.
        """
        if without is None:
            self._start("slurmd", "-D", "-N", name, name=name)
            return
        hide = 'mount -t tmpfs none "$1" && exec slurmd -D -N "$2"'
        words = ("--mount", "bash", "-c", hide, "bash", str(without), name)
        self._start("unshare", *words, name=name)

    def kill_node(self, name: str) -> None:
        """Let a node die, as by a power cut: all that runs on it ends at once."""
        self._kill(name)
        jobs = self._processes(f"SLURMD_NODENAME={name}")  # trials know nothing of SLURM
        keepers = [pid for pid in map(_parent, jobs) if pid and b"slurmstepd" in _title(pid)]
        for pid in (*keepers, *jobs):  # a keeper would still tell how its job ended
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _processes(self, *variables: str) -> list[int]:
        """Find what the cluster has started, with such variables in its environment."""
        wanted = {f"SLURM_CONF={self.environment['SLURM_CONF']}", *variables}
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                told = (process / "environ").read_bytes().decode(errors="replace").split("\0")
                if wanted <= set(told):
                    found.append(int(process.name))
        return found


def main() -> None:
    """Run a cluster until Ctrl-C."""
    with Cluster() as cluster, suppress(KeyboardInterrupt):
        print(f"export SLURM_CONF={cluster.environment['SLURM_CONF']}", flush=True)
        print(cluster.run("sinfo"), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
