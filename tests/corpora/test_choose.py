"""What `data.corpus` may be, and what is said where it is nothing."""

from functools import partial
from pathlib import Path

import pytest

from phoneme_lightning.corpora import spoken
from phoneme_lightning.corpora.choose import choose_store
from phoneme_lightning.corpora.store import FrameStore
from phoneme_lightning.errors import InputError


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def test_auto_takes_libriphone_where_it_is_prepared_and_else_the_spoken_corpus(root, make_store):
    make_store(root / "other")
    make_store(root / "spoken")
    assert choose_store("auto", root) == root / "spoken"
    (root / "libriphone").mkdir()  # begun, not prepared
    assert choose_store("auto", root) == root / "spoken"
    make_store(root / "libriphone")
    assert choose_store("auto", str(root)) == root / "libriphone"


def test_the_spoken_corpus_is_made_on_first_use(root, monkeypatch):
    monkeypatch.setattr(spoken, "prepare_spoken", partial(spoken.prepare_spoken, minutes=0.2))
    monkeypatch.chdir(root.parent)
    path = choose_store("auto", root.name)
    assert path == Path(root.name) / "spoken"  # as it was named: it goes into configs
    store = FrameStore(path)
    assert store.corpus == "spoken"
    assert choose_store("spoken", root.name) == path
    assert FrameStore(path).features.base is not None
    assert FrameStore(path).manifest == store.manifest


def test_a_name_is_looked_for_in_root_and_a_path_anywhere(root, make_store, tmp_path, monkeypatch):
    make_store(root / "timit")
    make_store(tmp_path / "elsewhere" / "mine")
    monkeypatch.chdir(tmp_path)
    assert choose_store("timit", root) == root / "timit"
    assert choose_store("elsewhere/mine", root).resolve() == tmp_path / "elsewhere" / "mine"
    assert choose_store(str(tmp_path / "elsewhere/mine"), root) == tmp_path / "elsewhere" / "mine"


@pytest.mark.parametrize("corpus", ["libriphone", "timit", "some/where"])
def test_a_missing_corpus_is_one_line_with_the_key_and_the_fix(root, make_store, corpus):
    with pytest.raises(InputError) as empty:
        choose_store(corpus, root)
    make_store(root / "mine")
    with pytest.raises(InputError, match="there are: mine;") as error:
        choose_store(corpus, root)
    for message in (str(empty.value), str(error.value)):
        assert message.startswith(f"data.corpus is {corpus!r}, but ")
        assert "\n" not in message
        assert "make it with `phoneme-data prepare" in message
