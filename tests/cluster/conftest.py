"""What tests share that need the servers of a cluster; where those are not installed they skip."""

import importlib.util
import os
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def load(path):
    """Load a file of the tests as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rounds = load(HERE.parent / "sweep/conftest.py")
place = rounds.place


@pytest.fixture(scope="session")
def quiet(tmp_path_factory, make_store):
    """Give a place where one worker alone has run the round `quiet`, of three points."""
    made = rounds.make_place(tmp_path_factory.mktemp("quiet"), make_store)
    made.sweep("run", made.write("quiet"), "--parallel", "1")
    return made


@pytest.fixture(scope="session")
def slurm():
    """Give the module that makes clusters."""
    module = load(HERE / "slurm.py")
    if missing := module.missing():
        pytest.skip(f"no {', '.join(missing)} here: `make test-cluster` installs SLURM")
    return module


@pytest.fixture
def cluster(slurm, monkeypatch):
    """Give a cluster of four nodes, to which sbatch and the others speak."""
    with slurm.Cluster() as started:
        for key, value in started.environment.items():
            monkeypatch.setenv(key, value)
        yield started


@pytest.fixture(scope="session")
def cluster_file():
    """Give what loads a file beside this one as a module."""
    return lambda name: load(HERE / name)


@pytest.fixture(scope="session")
def postgres():
    """Give a PostgreSQL server."""
    pytest.importorskip("psycopg", reason="pip install 'phoneme-lightning[postgres]'")
    module = load(HERE / "postgres.py")
    if missing := module.missing():
        pytest.skip(f"no {', '.join(missing)} here: `make test-cluster` installs PostgreSQL")
    server = module.Server()
    yield server
    server.close()


@pytest.fixture
def database(postgres, monkeypatch):
    """Give the name of an empty database, whose URL is in the environment."""
    name = f"db{os.getpid()}x{time.monotonic_ns()}"
    postgres.run(f"CREATE DATABASE {name}")
    monkeypatch.setenv("PHONEME_STORAGE", postgres.url(name))
    return name


@pytest.fixture(scope="session")
def recordings():
    """Give the module that writes small corpora of recordings."""
    return load(HERE.parent / "corpora/recordings.py")
