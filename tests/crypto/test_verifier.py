from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.crypto.srp import UNPADDED, ZERO_STATE, make_verifier
from terzetto.crypto.srp_group import DEFAULT_GROUP
from terzetto.crypto.verifier import UserRecord, VerifierFile, records_for_password
from terzetto.errors import InvalidOption

SALT = bytes.fromhex("72F9D5383B7EB7599FB63028F47475B60A55F313D40E0BE023E026C97C0A2C32")
OLD_VERIFIER = make_verifier(b"rist", b"mainprofile", SALT, dialect=ZERO_STATE)
NEW_VERIFIER = make_verifier(b"rist", b"mainprofile", SALT, dialect=UNPADDED)


def base64(number: int) -> str:
    return b64encode(number.to_bytes(256, "big")).decode()


OLD_LINE = f"rist:{base64(OLD_VERIFIER).rstrip('=')}:{b64encode(SALT).decode().rstrip('=')}:3"
NEW_LINES = (
    f"rist:{base64(OLD_VERIFIER)}:{b64encode(SALT).decode()}:3:0\n"
    f"rist:{base64(NEW_VERIFIER)}:{b64encode(SALT).decode()}:3:1\n"
)


def test_a_line_of_0_2_7_without_padding_or_version_is_of_the_old_hash() -> None:
    users = VerifierFile.decode(OLD_LINE)
    record = users.find("rist", 0)
    assert record == UserRecord("rist", OLD_VERIFIER, SALT, 0)
    assert users.find("rist", 1) is None
    assert users.check("rist", "mainprofile")


def test_the_two_lines_of_later_tools_are_read_and_written() -> None:
    users = VerifierFile.decode(NEW_LINES)
    assert users.find("rist", 0) == UserRecord("rist", OLD_VERIFIER, SALT, 0)
    assert users.find("rist", 1) == UserRecord("rist", NEW_VERIFIER, SALT, 1)
    assert users.usernames == ["rist"]
    assert users.encode() == NEW_LINES
    assert users.check("rist", "mainprofile")
    assert not users.check("rist", "Mainprofile")
    assert not users.check("nobody", "mainprofile")


def test_an_old_line_written_by_a_correct_hash_still_checks() -> None:
    users = VerifierFile([UserRecord("rist", NEW_VERIFIER, SALT, 0)])
    assert users.check("rist", "mainprofile")


def test_a_user_whose_records_disagree_does_not_check() -> None:
    users = VerifierFile.decode(NEW_LINES)
    users.add(UserRecord("rist", 12345, SALT, 1))
    assert not users.check("rist", "mainprofile")


def test_a_new_password_takes_the_place_of_the_old_and_leaves_others_alone() -> None:
    users = VerifierFile.decode(NEW_LINES)
    for record in records_for_password("eve", "secret", salts=(bytes(31) + b"\1", bytes(31) + b"\2")):
        users.add(record)
    for record in records_for_password("rist", "changed", salts=(b"\3" * 32, b"\4" * 32)):
        users.add(record)
    users = VerifierFile.decode(users.encode())
    assert users.usernames == ["rist", "eve"]
    assert users.check("rist", "changed")
    assert users.check("eve", "secret")
    assert users.remove("eve")
    assert not users.remove("eve")
    assert users.usernames == ["rist"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("rist", "line 2: a record is not"),
        ("rist:AAAA:AAAA", "line 2: a record is not"),
        (":AAAA:AAAA:3", "line 2: a record is not"),
        ("rist:AQ==:AQ==:2", "line 2: the group of 'rist' is '2'"),
        ("rist:AQ==:AQ==:3:2", "line 2: the hash version of 'rist' is '2'"),
        ("rist:?:AQ==:3:1", "line 2: verifier or salt of 'rist' is not base64"),
        ("rist:AQ==:A:3:1", "line 2: verifier or salt of 'rist' is not base64"),
        ("rist::AQ==:3:1", "line 2: verifier or salt of 'rist' has an impossible size"),
        ("rist:AQ==::3:1", "line 2: verifier or salt of 'rist' has an impossible size"),
        (f"rist:{base64(DEFAULT_GROUP.modulus)}:AQ==:3:1", "line 2: verifier or salt of 'rist'"),
    ],
)
def test_a_file_that_cannot_be_read_names_the_line(line: str, complaint: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        VerifierFile.decode(f"\n{line}\n")
    assert str(raised.value).startswith(complaint)


@pytest.mark.parametrize("username", ["", "a:b", "a\nb", "x" * 256])
def test_a_name_that_the_file_cannot_hold_is_refused(username: str) -> None:
    with pytest.raises(InvalidOption, match="user name"):
        records_for_password(username, "secret", salts=(SALT, SALT))


@pytest.mark.parametrize("password", ["", "x" * 256])
def test_a_password_that_librist_could_not_take_is_refused(password: str) -> None:
    with pytest.raises(InvalidOption, match="password is"):
        records_for_password("rist", password, salts=(SALT, SALT))


def test_verifiers_stay_out_of_the_repr() -> None:
    assert str(OLD_VERIFIER) not in repr(UserRecord("rist", OLD_VERIFIER, SALT))


@given(st.text(max_size=200))
def test_any_text_is_a_file_or_refused(text: str) -> None:
    try:
        users = VerifierFile.decode(text)
    except InvalidOption:
        return
    assert VerifierFile.decode(users.encode()).encode() == users.encode()
