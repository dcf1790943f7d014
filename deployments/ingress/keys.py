"""The API keys: where they come from, and how a client shows one.

Knows the environment and the Realtime API's three places for a key; neither sockets nor Ray. A key itself is
kept nowhere: only its SHA-256, which is enough to recognise it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conversation.errors import ClientError, ConfigError

KEYS = "ANTIPHON_API_KEYS"
"""Environment variable: keys, separated by commas."""
KEYS_FILE = "ANTIPHON_API_KEYS_FILE"
"""Environment variable: a file with one key a line; empty lines and those that begin with # do not count."""
DIGESTS = "ANTIPHON_API_KEYS_SHA256"
"""Environment variable: what of them is handed on to the server's processes, in hex, separated by commas."""

SUBPROTOCOL_PREFIX = "openai-insecure-api-key."
"""A browser cannot set headers: the Realtime API's place for a key among the subprotocols."""

MIN_CHARS = 16
"""Shorter ones could be guessed, or found from their hash."""

_KEY = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What may stand in a subprotocol: the token of RFC 9110, section 5.6.2."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

_HOW = (
    "Send it as the header 'Authorization: Bearer KEY' or 'api-key: KEY', or, from a browser, as the "
    f"subprotocol '{SUBPROTOCOL_PREFIX}KEY' beside 'realtime'."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client may not come in.

    Attributes:
        error: to tell it.
        close_reason: beside the close code; as the hosted service words it.
    """

    error: ClientError
    close_reason: str


class Keys:
    """Those that are valid here; false when there are none, and everybody may come in."""

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        self._digests = tuple(sorted(set(digests)))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __repr__(self) -> str:
        return f"<{len(self._digests)} API keys>"

    def __contains__(self, key: str) -> bool:
        """In a time that does not depend on the key, nor on which one it is."""
        digest = _digest(key)
        return sum(hmac.compare_digest(digest, valid) for valid in self._digests) > 0

    def refusal(self, headers: Mapping[str, str], subprotocols: Sequence[str]) -> Refusal | None:
        """Of a client with these, or None. Names of `headers` must be lower case, or not matter."""
        if not self:
            return None
        key = shown(headers, subprotocols)
        if key is None:
            return Refusal(
                ClientError("invalid_api_key", f"This server wants an API key. {_HOW}"),
                "invalid_request_error",
            )
        if key not in self:
            return Refusal(
                ClientError(
                    "invalid_api_key",
                    "This API key is none of this server's. Check it for missing characters, or ask whoever "
                    "runs the server for one.",
                ),
                "invalid_request_error.invalid_api_key",
            )
        return None

    def digests(self) -> str:
        """As DIGESTS holds them."""
        return ",".join(digest.hex() for digest in self._digests)


def shown(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
    """The key that a client shows: the first of the three places that has one."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    in_subprotocol = (
        name.removeprefix(SUBPROTOCOL_PREFIX) for name in subprotocols if name.startswith(SUBPROTOCOL_PREFIX)
    )
    places = (
        bearer.strip() if scheme.lower() == "bearer" else "",
        headers.get("api-key", "").strip(),
        next(in_subprotocol, ""),
    )
    return next(filter(None, places), None)


def keys_in(environment: Mapping[str, str]) -> Keys:
    """All that the environment names. Raises ConfigError, which never holds a key."""
    handed = [digest for digest in environment.get(DIGESTS, "").split(",") if digest]
    if not all(_DIGEST.fullmatch(digest) for digest in handed):
        raise ConfigError(f"{DIGESTS}: not SHA-256 in hex; set {KEYS} instead")
    digests = [bytes.fromhex(digest) for digest in handed]
    plain = [key.strip() for key in environment.get(KEYS, "").split(",")]
    digests += [_checked(key, KEYS, place) for place, key in enumerate(plain, 1) if key]
    if path := environment.get(KEYS_FILE):
        digests += _from_file(Path(path))
    return Keys(digests)


def hand_on(environment: MutableMapping[str, str]) -> Keys:
    """The same; and what is started from this environment will know the hashes, but no key."""
    keys = keys_in(environment)
    for name in (KEYS, KEYS_FILE):
        environment.pop(name, None)
    environment[DIGESTS] = keys.digests()
    return keys


def require_keys_beyond_loopback(host: str, keys: Keys) -> None:
    """Raises ConfigError where others than this machine's users could come in without a key."""
    if keys or host == "localhost":
        return
    try:
        if ipaddress.ip_address(host).is_loopback:
            return
    except ValueError:
        pass  # a name: whose, cannot be told
    raise ConfigError(
        f"listening on {host} would let in anybody who reaches this machine. Set {KEYS} to one or more keys, "
        f"separated by commas, or {KEYS_FILE} to a file with one a line (`openssl rand -hex 32` makes a good "
        "one); or listen on 127.0.0.1"
    )


def _from_file(path: Path) -> list[bytes]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"{KEYS_FILE}: cannot read {path}: {reason}") from None
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    digests = [
        _checked(line, str(path), number) for number, line in numbered if line and not line.startswith("#")
    ]
    if not digests:
        raise ConfigError(f"{KEYS_FILE}: {path} holds no key; write one a line")
    return digests


def _checked(key: str, source: str, place: int) -> bytes:
    if len(key) < MIN_CHARS:
        raise ConfigError(
            f"{source}: key {place} is shorter than {MIN_CHARS} characters; "
            "`openssl rand -hex 32` makes a good one"
        )
    if not _KEY.fullmatch(key):
        raise ConfigError(
            f"{source}: key {place} holds characters that a browser cannot send; "
            "use letters, digits and !#$%&'*+.^_`|~-"
        )
    return _digest(key)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
