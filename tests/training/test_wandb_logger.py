"""Which mode W&B runs in: what is said beats the environment, and that beats the key."""

import subprocess
import sys

import pytest

from phoneme_lightning.training.wandb_logger import WandbSettings, _find_mode

FIND = """
from phoneme_lightning.training.wandb_logger import WandbSettings, _find_mode
print(_find_mode(WandbSettings()))
"""


@pytest.mark.parametrize(("key", "expected"), [(None, "offline"), ("0a" * 20, "online")])
def test_auto_is_online_with_a_key_and_offline_without(tmp_path, monkeypatch, key, expected):
    # In a process of its own, since W&B remembers a key; and in a home that holds none.
    pytest.importorskip("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    if key:
        monkeypatch.setenv("WANDB_API_KEY", key)
    for name in ("HOME", "USERPROFILE", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nothing leaves this machine
    done = subprocess.run([sys.executable, "-c", FIND], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_environment_beats_auto_and_a_mode_that_is_said_beats_both(monkeypatch, mode):
    monkeypatch.setenv("WANDB_API_KEY", "0a" * 20)
    monkeypatch.setenv("WANDB_MODE", mode)
    assert _find_mode(WandbSettings()) == mode
    for said in ("online", "offline", "disabled"):
        assert _find_mode(WandbSettings(mode=said)) == said
