"""What PyTorch's libraries are told, seen in processes of their own."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "THP_MEM_ALLOC_ENABLE")
SAY = "print(*(os.environ.get(name) for name in sys.argv[1:]))"
TENSORS = "import torch; kept = [torch.ones(2**22) for _ in range(20)]"


def run(code, *arguments, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    start = "import os, sys; from phoneme_lightning.runtime import set_environment as s; "
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    done = subprocess.run(
        [sys.executable, "-c", start + code, *arguments],
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before


def refused_huge_pages():
    """Say how often the kernel had no huge page to give."""
    lines = Path("/proc/vmstat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["thp_fault_fallback"])


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["10000", "None", "1"]),
        ({"GOMP_SPINCOUNT": "7", "THP_MEM_ALLOC_ENABLE": "0"}, ["7", "None", "0"]),
        ({"OMP_WAIT_POLICY": "active"}, ["None", "active", "1"]),
    ],
)
def test_what_a_person_has_set_stays(environment, expected):
    assert run(f"s(); {SAY}", *SETTINGS, **environment)[0] == expected


def test_tensors_come_in_huge_pages_where_the_kernel_gives_them():
    switch = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not switch.exists() or "[madvise]" not in switch.read_text():
        pytest.skip("the kernel gives huge pages to none, or to all")
    plain, before = run(TENSORS)[1], refused_huge_pages()
    asked = run(f"s(); {TENSORS}")[1]
    if refused_huge_pages() > before:
        pytest.skip("the machine's memory is in too small pieces for huge pages")
    # There are 80,000 pages of 4 KiB in 20 tensors of 16 MiB; each huge one that is had saves 511.
    assert plain - asked > 40_000
