"""``terzetto passwd``: what it writes, what it checks, what it refuses."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from terzetto.cli.app import run
from terzetto.crypto.verifier import VerifierFile


def say(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(password + "\n"))


def test_a_user_is_written_for_old_and_new_peers_and_nobody_else_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users"
    say(monkeypatch, "open sesame")
    assert run(["passwd", str(file), "ali", "--stdin"]) == 0
    users = VerifierFile.decode(file.read_text())
    assert users.check("ali", "open sesame")
    assert users.find("ali", 0) is not None
    assert users.find("ali", 1) is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "sesame" not in file.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["users"]


def test_a_second_password_takes_the_place_of_the_first_and_other_users_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "users"
    for user, password in [("ali", "one"), ("baba", "two"), ("ali", "three")]:
        say(monkeypatch, password)
        assert run(["passwd", str(file), user, "--stdin"]) == 0
    users = VerifierFile.decode(file.read_text())
    assert users.check("ali", "three")
    assert not users.check("ali", "one")
    assert users.check("baba", "two")


@pytest.mark.parametrize(("password", "status"), [("one", 0), ("won", 1)])
def test_checking_says_whether_the_password_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, status: int
) -> None:
    file = tmp_path / "users"
    say(monkeypatch, "one")
    run(["passwd", str(file), "ali", "--stdin"])
    say(monkeypatch, password)
    assert run(["passwd", str(file), "ali", "--check", "--stdin"]) == status


def test_users_are_listed_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "users"
    for user in ("ali", "baba"):
        say(monkeypatch, "one")
        run(["passwd", str(file), user, "--stdin"])
    assert run(["passwd", str(file), "ali", "--remove"]) == 0
    assert run(["passwd", str(file), "ali", "--remove"]) == 1
    capsys.readouterr()
    assert run(["passwd", str(file), "--list"]) == 0
    assert capsys.readouterr().out == "baba\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{file}", "ali"], "no terminal"),
        (["{file}"], "USER is missing"),
        (["{file}", "ali", "--check", "--stdin"], "there is no file"),
        (["{file}", "a:b", "--stdin"], "without colon"),
        (["{file}", "ali", "--check", "--remove"], "exclude one another"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    say(monkeypatch, "one")
    words = [word.format(file=tmp_path / "users") for word in arguments]
    assert run(["passwd", *words]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "users").exists()
