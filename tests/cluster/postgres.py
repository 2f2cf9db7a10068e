"""A PostgreSQL server of a test's own, which asks for a password, and a line to it that breaks."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import psycopg

PASSWORD = "pa55word-nobody-may-see"
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
PROGRAMS = ("initdb", "pg_ctl", "postgres")


def find(program):
    """Find one of the server's programs, which Debian keeps out of the path; None without it."""
    places = os.pathsep.join([*map(str, INSTALLED[-1:]), os.environ.get("PATH", "")])
    return shutil.which(program, path=places)


def missing():
    """List what is not installed here."""
    return [program for program in PROGRAMS if find(program) is None]


def free_port():
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Server:
    """A server that runs; its superuser is `me`."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        # It refuses to be root.
        self._user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self.path, **self._user)
        (self.path / "password").write_text(PASSWORD)
        (self.path / "password").chmod(0o644)
        options = ["-U", "me", "-A", "scram-sha-256", f"--pwfile={self.path}/password"]
        self._run("initdb", *options, "--no-sync", "--no-locale", "-E", "UTF8")
        self.start()

    def _run(self, program, *words):
        with (self.path / "said").open("a") as said:
            command = [find(program), "-D", self.path / "data", *words]
            streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
            subprocess.run(command, check=True, cwd="/", **streams, **self._user)

    def start(self):
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self.path} -h 127.0.0.1 -F"
        self._run("pg_ctl", "start", "-w", "-l", self.path / "log", "-o", options)

    def stop(self, mode="immediate"):
        """Stop it; `immediate` is as if it crashed."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def close(self):
        """Stop it, and leave nothing."""
        self.stop()
        shutil.rmtree(self.path)

    def url(self, database, password=f":{PASSWORD}", port=None):
        """Give a database's URL."""
        return f"postgresql://me{password}@127.0.0.1:{port or self.port}/{database}"

    def run(self, statement, *values):
        """Run a statement; give the rows that it finds."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def connections(self):
        """Count the connections of workers."""
        name = "phoneme-sweep"
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return self.run(query, name)[0][0]

    def cut(self):
        """End the connections of all workers."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            "phoneme-sweep",
        )


class Line:
    """A line to a server that breaks at a commit: before it, or when its answer is on the way.

    Args:
        server: at its other end.
    """

    def __init__(self, server):
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = 0
        self._commits, self._at, self._answer = 0, 0, False
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, at, answer):
        """Break at one of the next commits, from 1: at its answer, or before it is made."""
        self._commits, self._at, self._answer = 0, at, answer

    def hold(self):
        """Break no more."""
        self._at = 0

    def _accept(self):
        while True:
            near, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near):
        with near, socket.create_connection(("127.0.0.1", self._server.port)) as far:
            swallows = threading.Event()
            threading.Thread(target=self._carry_back, args=(far, near, swallows)).start()
            while asked := self._receive(near):
                if b"COMMIT" in asked:
                    self._commits += 1
                    if self._commits == self._at:
                        self.lost += 1
                        if not self._answer:
                            break
                        swallows.set()
                far.sendall(asked)
            self._hang_up(far, near)

    def _carry_back(self, far, near, swallows):
        while (answered := self._receive(far)) and not swallows.is_set():
            near.sendall(answered)
        self._hang_up(far, near)

    @staticmethod
    def _receive(end):
        try:
            return end.recv(1 << 16)
        except OSError:
            return b""

    @staticmethod
    def _hang_up(*ends):
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
