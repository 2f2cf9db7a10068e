"""Which frame store `data.corpus` means."""

from pathlib import Path

from phoneme_lightning.errors import InputError

__all__ = ["choose_store"]


def choose_store(corpus: str, root: str | Path) -> Path:
    """Find the frame store of a corpus; make the built-in one on first use.

    Args:
        corpus: "auto", the name of a store in `root`, or a path. "auto" takes the prepared
            libriphone where there is one, else the built-in spoken corpus.
        root: folder in which `phoneme-data prepare` puts frame stores.

    Returns:
        The store's folder.

    Raises:
        InputError: there is no such store, and it is not the built-in one.
    """
    root = Path(root)
    if corpus == "auto":
        corpus = "libriphone" if _is_store(root / "libriphone") else "spoken"
    for path in (root / corpus, Path(corpus)):
        if _is_store(path):
            return path
    if corpus == "spoken":
        from phoneme_lightning.corpora.spoken import prepare_spoken

        prepare_spoken(root / corpus)
        return root / corpus
    place = Path(corpus) if "/" in corpus else root / corpus
    known = sorted(path.name for path in root.glob("*") if _is_store(path))
    raise InputError(
        f"data.corpus is {corpus!r}, but there is no frame store at {place}; "
        + (f"there are: {', '.join(known)}; " if known else "")
        + "make it with `phoneme-data prepare`, or use spoken or auto"
    )


def _is_store(path: Path) -> bool:
    return (path / "manifest.json").is_file()
