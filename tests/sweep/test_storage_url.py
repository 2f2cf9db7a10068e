"""Where a study is: passwords come from the environment or a file, and stand nowhere else."""

import pytest

from phoneme_lightning.errors import InputError, redact
from phoneme_lightning.sweep.opening import with_storage
from phoneme_lightning.sweep.round_file import parse_round
from phoneme_lightning.sweep.storage import open_database, show_url
from phoneme_lightning.sweep.storage_patient import say_fault
from phoneme_lightning.sweep.storage_url import check_url, resolve_url

LEAST = {
    "goal": {"question": "Which?"},
    "base": ["configs/rnn.yaml"],
    "budget": {"points": 1},
    "training": {"steps": 10, "evaluate_every": 5},
}
WITH_PASSWORD = [
    "postgresql://me:pa55word@host/studies",
    "postgresql+psycopg://me:pa55@word@host:5432/studies",
    "postgresql://me:pa55/word@host/studies",
    "mysql://:pa55word@host/studies",
    "postgresql://host/studies?user=me&password=pa55word&sslmode=require",
    "postgresql://me@host/studies?sslpassword=pa55word",
    "mysql://host/studies?user=me&passwd=pa55word",
]
WITHOUT = [
    "journal",
    "sqlite:////home/me:you/a@b.db",
    "postgresql://me@host:5432/studies?sslmode=require",
    "postgresql:///studies?host=/run/postgresql&passfile=/home/me/.pgpass",
    "env:PHONEME_STORAGE",
    "file:~/.phoneme-storage",
]


@pytest.mark.parametrize("url", WITH_PASSWORD)
def test_a_password_is_refused_where_others_can_read_it_and_is_not_repeated(url):
    read = parse_round(LEAST, "first")
    for refuse in (
        lambda: parse_round({**LEAST, "storage": {"url": url}}, "first"),
        lambda: with_storage(read, url),
    ):
        with pytest.raises(InputError, match=r"holds a password.*pgpass.*env:NAME.*file:PATH") as e:
            refuse()
        assert "55" not in str(e.value)
    assert "55" not in redact(f"it said: {url} (and more)").replace("5432", "")
    assert "55" not in say_fault(RuntimeError(f"no {url}")).replace("5432", "")
    assert "host" in redact(url)


@pytest.mark.parametrize("url", ["jornal", "me:pa55@host/studies", "host=h password=pa55"])
def test_what_is_no_url_is_refused_and_not_repeated(url):
    with pytest.raises(
        InputError, match=r"storage\.url is no URL of a database: write jou"
    ) as error:
        check_url(url, "storage.url")
    assert url not in str(error.value)


@pytest.mark.parametrize("url", WITHOUT)
def test_what_holds_no_password_is_left_as_it_is(url):
    check_url(url, "storage.url")
    assert redact(url) == url
    assert with_storage(parse_round(LEAST, "first"), url).storage.url == url


def test_an_at_in_a_password_is_asked_for_as_it_must_be_and_shows_none_of_it(monkeypatch):
    monkeypatch.setenv("PHONEME_STORAGE", "postgresql://me:pa55@w0rd@host/studies")
    with pytest.raises(InputError, match="write that of the password as %40") as error:
        show_url("env:PHONEME_STORAGE")
    assert "w0rd" not in str(error.value)


def test_a_url_is_read_from_the_environment_or_a_file(tmp_path, monkeypatch):
    url = "postgresql://me:pa55word@host/studies"
    monkeypatch.setenv("PHONEME_STORAGE", f"{url}\n")
    assert resolve_url("env:PHONEME_STORAGE") == url
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "storage"
    file.write_text(f"{url}\n")
    file.chmod(0o600)
    assert resolve_url("file:~/storage") == resolve_url(f"file:{file}") == url
    assert show_url(f"file:{file}") == "postgresql+psycopg://me:***@host/studies"
    file.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        resolve_url("file:~/storage")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("env:NO_SUCH_THING", "no environment variable NO_SUCH_THING is set"),
        ("file:storage", "begins with / or ~"),
        ("file:/no/such/file", "No such file"),
        ("file:/", "directory"),
    ],
)
def test_a_place_without_a_url_is_refused(told, why):
    with pytest.raises(InputError, match=why):
        resolve_url(told)


@pytest.mark.parametrize(
    "url", ["postgresql:/me:pa55word@host", "me:pa55word@host", "postgresql://me@host:pa55word/x"]
)
def test_what_is_no_url_is_not_repeated(url, monkeypatch):
    monkeypatch.setenv("PHONEME_STORAGE", url)
    with pytest.raises(InputError, match=r"storage\.url is no URL") as refused:
        open_database("env:PHONEME_STORAGE")
    assert "55" not in str(refused.value)
    assert refused.value.__cause__ is None
