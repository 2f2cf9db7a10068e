"""What is installed is what the source says: version, commands, dependencies, data files."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path

import phoneme_lightning

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "phoneme_lightning"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_installed_version_is_the_package_s():
    assert version("phoneme-lightning") == phoneme_lightning.__version__


def test_every_command_can_be_loaded():
    commands = {entry.name: entry for entry in entry_points(group="console_scripts")}
    for name, target in PROJECT["scripts"].items():
        assert commands[name].value == target
        assert callable(commands[name].load())


def names_of(requirements):
    return {re.match(r"[\w-]+", entry)[0].lower().replace("_", "-") for entry in requirements}


def test_every_library_that_is_imported_is_declared_and_in_an_extra_only_where_it_is_late():
    core = names_of(PROJECT["dependencies"])
    optional = PROJECT["optional-dependencies"]
    late = names_of(optional["dashboard"] + optional["export"])
    extra = names_of(optional["workspaces"])
    whole = PACKAGE / "sweep/report/wandb_blocks.py"  # is itself imported late, by `publish` alone
    distributions = packages_distributions()
    undeclared = set()
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            declared = core if node in tree.body else core | late
            declared = declared | extra if file == whole else declared
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for library in {name.split(".")[0] for name in names} - sys.stdlib_module_names:
                found = distributions.get(library, [library])
                owners = {owner.lower().replace("_", "-") for owner in found}
                if not owners & (declared | {"phoneme-lightning"}):
                    undeclared.add(f"{file.relative_to(ROOT)} imports {library}")
    assert not undeclared


def test_a_wheel_holds_every_file_of_the_package(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys, setuptools.build_meta as build; print(build.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    packed = set(zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]).namelist())
    files = {
        file.relative_to(source).as_posix()
        for file in (source / PACKAGE.name).rglob("*")
        if file.is_file()
    }
    assert files <= packed
