"""A round's folder is made once; a round file that differs from it later is refused."""

import difflib
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from phoneme_lightning.corpora.choose import choose_store
from phoneme_lightning.errors import InputError
from phoneme_lightning.sweep.design import Row, append_design, design, read_design
from phoneme_lightning.sweep.disk_locks import check_locks
from phoneme_lightning.sweep.folder import ROOT, RoundFolder, write_atomically
from phoneme_lightning.sweep.keys import flatten
from phoneme_lightning.sweep.round import Round
from phoneme_lightning.sweep.round_check import check_round
from phoneme_lightning.sweep.round_file import dump_round, make_quick, read_round
from phoneme_lightning.sweep.storage_url import check_url
from phoneme_lightning.sweep.yaml12 import dump_yaml, load_yaml

__all__ = ["extend", "load_round", "open_round", "with_storage"]


def load_round(folder: RoundFolder) -> Round:
    """Read the round that a folder holds."""
    return read_round(folder.round)


def with_storage(round: Round, url: str | None) -> Round:
    """Give a round whose study is elsewhere, where `--storage` says so.

    Raises:
        InputError: the URL holds a password.
    """
    if url is None:
        return round
    check_url(url, "--storage")
    return replace(round, storage=replace(round.storage, url=url))


def open_round(
    file: str | Path,
    check: Callable[[RoundFolder, Round], None],
    *,
    quick: bool = False,
    fork: bool = False,
    storage: str | None = None,
    root: Path = ROOT,
) -> tuple[RoundFolder, Round]:
    """Make a round's folder and its design, or go on with what is there.

    Args:
        file: the round file, or the folder of a round that has begun.
        check: raises where a new round must not begin; then nothing of it is kept.
        quick: cut it to a demonstration.
        fork: where the file no longer is what the folder holds, begin a new round beside it.
        storage: in place of storage.url of the file, or for this time of the folder.
        root: folder of all rounds.

    Raises:
        InputError: the file differs from the folder in more than points, parallel, executor and
            time limits; a base config is missing; or the disk knows no locks.
    """
    if (Path(file) / "round.yaml").is_file():
        folder = RoundFolder(file)
        return folder, with_storage(load_round(folder), storage)
    wanted = with_storage(read_round(file), storage)
    if quick:
        wanted = make_quick(wanted)
    configs = [_find_config(config, Path(file)) for config in wanted.base]
    root.mkdir(parents=True, exist_ok=True)
    check_locks(root, for_journal=wanted.storage.url == "journal")
    with FileLock(root / f".{wanted.name}.lock"):
        folder = RoundFolder(root / wanted.name)
        while folder.round.is_file():
            differences = _differences(folder, wanted, configs)
            if not differences:
                return folder, _take_over(folder, wanted)
            if not fork:
                print("\n".join(differences), file=sys.stderr)
                raise InputError(
                    f"{folder.path} began otherwise, as the lines above say: give the file another "
                    "name, go back, or --fork a new round; only points, parallel, executor and "
                    "time limits may change"
                )
            wanted = replace(wanted, name=_next_name(wanted.name))
            folder = RoundFolder(root / wanted.name)
        made = RoundFolder(tempfile.mkdtemp(dir=root, prefix=f".{wanted.name}."))
        try:
            _fill(made, wanted, Path(file), configs)
            check(made, wanted)
            made.path.rename(folder.path)
        except BaseException:
            shutil.rmtree(made.path, ignore_errors=True)
            raise
    return folder, wanted


def extend(folder: RoundFolder, points: int) -> Round:
    """Give a round more points an arm.

    Args:
        folder: of the round.
        points: points an arm in all.

    Raises:
        InputError: it has as many already.
    """
    with FileLock(folder.path.parent / f".{folder.name}.lock"):
        known = load_round(folder)
        if points <= known.budget.points:
            raise InputError(
                f"--points is {points}, but {folder.name} has {known.budget.points} points an arm "
                "already: give more"
            )
        return _take_over(folder, replace(known, budget=replace(known.budget, points=points)))


def _find_config(config: str, file: Path) -> Path:
    """Look from here, then from the round file upwards: a round may be started from anywhere."""
    for place in (Path(), *file.resolve().parents):
        if (place / config).is_file():
            return place / config
    raise InputError(f"base is {config!r}, and there is no such file here or above {file}")


def _fill(made: RoundFolder, wanted: Round, file: Path, configs: list[Path]) -> None:
    made.path.chmod(0o755)
    made.configs.mkdir()
    made.trials.mkdir()
    made.settle()
    for index, config in enumerate(configs):
        shutil.copyfile(config, made.configs / f"{index}-{config.name}")
    (made.configs / f"{len(configs)}-corpus.yaml").write_text(_pin_corpus(wanted, configs), "utf-8")
    shutil.copyfile(file, made.source)
    made.round.write_text(dump_round(wanted), encoding="utf-8")
    append_design(made.design, _designed(wanted))


def _pin_corpus(wanted: Round, configs: list[Path]) -> str:
    """Say which corpus every trial reads; made now if need be, and not by the first of them.

    `auto` would change its meaning when another corpus is prepared while the round runs.
    """
    told = {"data.corpus": "auto", "data.root": "data"}
    for settings in (*map(_read, configs), wanted.overrides):
        told |= {key: value for key, value in flatten(settings).items() if key in told}
    store, root = choose_store(told["data.corpus"], told["data.root"]), Path(told["data.root"])
    corpus = store.relative_to(root) if store.is_relative_to(root) else store
    return f"# {told['data.corpus']}, when the round began\n" + dump_yaml(
        {"data": {"corpus": str(corpus)}}
    )


def _designed(wanted: Round) -> list[Row]:
    # What an exploit round tries is decided trial by trial.
    return [] if wanted.phase == "exploit" else design(wanted)


def _take_over(folder: RoundFolder, wanted: Round) -> Round:
    """Take what may change from a round file; points only ever grow."""
    known = load_round(folder)
    points = max(known.budget.points, wanted.budget.points)
    merged = replace(known, budget=replace(wanted.budget, points=points), executor=wanted.executor)
    check_round(merged)  # a list of points, say, may have no more
    there, wanted_rows = read_design(folder.design), _designed(merged)
    if len(wanted_rows) > len(there) and wanted_rows[: len(there)] != there:
        raise InputError(
            f"budget.points cannot become {points}: the points that {folder.name} has are not the "
            f"first of those (sampler.kind is {merged.sampler.kind}); begin another round"
        )
    missing = wanted_rows[len(there) :]
    if missing:
        append_design(folder.design, missing)
    if merged != known:
        write_atomically(folder.round, dump_round(merged))
    return merged


def _comparable(text: str) -> list[str]:
    """Give the lines of a dumped round, without what may change while it runs."""
    told = load_yaml(text, "round.yaml")
    told["budget"] = {"threads": told["budget"]["threads"]}
    for key in ("executor", "quick"):
        told.pop(key, None)
    return dump_yaml(told).splitlines()


def _differences(folder: RoundFolder, wanted: Round, configs: list[Path]) -> list[str]:
    known = dump_round(load_round(folder))
    pairs = [("round.yaml", _comparable(known), _comparable(dump_round(wanted)))]
    for copy, config in zip(folder.base_configs(), configs, strict=False):
        pairs.append((str(config), _lines(copy), _lines(config)))
    return [
        line
        for name, old, new in pairs
        for line in difflib.unified_diff(old, new, f"{name} as it began", name, "", "", 1, "")
    ]


def _lines(config: Path) -> list[str]:
    # A comment or a blank is no difference.
    return dump_yaml(_read(config)).splitlines()


def _read(config: Path) -> dict[str, Any]:
    settings: dict[str, Any] = load_yaml(config.read_text(encoding="utf-8"), str(config)) or {}
    return settings


def _next_name(name: str) -> str:
    stem, dash, number = name.rpartition("-fork")
    return f"{stem}-fork{int(number) + 1}" if dash and number.isdigit() else f"{name}-fork2"
