"""Reads the environment's certificates and proxies, and checks them.

    REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE ▶ SSL_CERT_FILE ▶ SSL_CERT_DIR ▶ those of certifi
    http_proxy, https_proxy ▶ all_proxy      no_proxy: hosts to reach without a proxy

`requests` knows all of these except the two OpenSSL variables
(SSL_CTX_set_default_verify_paths(3)), which most people set. Its errors for a wrong value name
neither the variable nor the remedy.
"""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cache.places import without_password
from plan.errors import BuildError
from plan.typed import typed

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_NAME_THEM = (
    "name a file with certificates (PEM), on Debian /etc/ssl/certs/ca-certificates.crt, or unset it"
)
_PROXY = "http://HOST:PORT, for https URLs too"
_CLOCK = f"is the clock of this machine right? {typed('doctor')} compares it"
_OWN_CA = (
    "if your network has its own certificate authority, name its certificate: SSL_CERT_FILE=FILE; "
    "on Debian /etc/ssl/certs/ca-certificates.crt has the certificates that the system trusts"
)
# OpenSSL's error for a certificate → remedy: X509_V_ERR_*, x509_vfy.h.
_OF_CERTIFICATE = dict.fromkeys((9, 10), _CLOCK) | dict.fromkeys((18, 19, 20, 21), _OWN_CA)


def check(url: str) -> None:
    """Raise BuildError if a variable that a request for `url` needs is wrong."""
    if url.startswith("https:"):
        certificates()
    if found := proxy_of(url):
        _check_proxy(*found)


def certificates() -> str | None:
    """The file or directory of trusted certificates; None means those of certifi.

    Raises BuildError if a variable names no certificates.
    """
    name = next((name for name in _CERTIFICATES if os.environ.get(name)), None)
    if name is None:
        return None
    value = os.environ[name]
    # OpenSSL accepts several directories.
    paths = value.split(":") if name == "SSL_CERT_DIR" else [value]
    path = next((path for path in paths if _exists(path)), None)
    wrong = "there is no such file or directory" if path is None else _unusable(path)
    if wrong:
        raise BuildError(f"{name} is wrong: {wrong}", where=f"{name}={value}", hint=_NAME_THEM)
    return path


def certificate_file() -> str:
    """The file of trusted certificates: that of the environment, or certifi's.

    Raises BuildError if a variable names none, or a directory.
    """
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    found = certificates() or DEFAULT_CA_BUNDLE_PATH
    if Path(found).is_dir():
        raise BuildError("a file is needed, not a directory", where=found, hint=_NAME_THEM)
    return found


def _exists(path: str) -> bool:
    """Whether there may be such a file: also if it is in a directory of somebody else."""
    try:
        return Path(path).exists()
    except OSError:
        return True


@functools.cache
def _unusable(path: str) -> str:
    try:
        if Path(path).is_dir():
            return ""
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "it has no certificates (PEM)"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


def proxy_of(url: str) -> tuple[str, str] | None:
    """The variable that names the proxy for `url`, and its value; None without a proxy."""
    from requests.utils import get_environ_proxies, select_proxy

    try:
        value = select_proxy(url, get_environ_proxies(url))
    except ValueError:
        value = None  # the request tells what is wrong with the URL
    if not value:
        return None
    names = [f"{urlsplit(url).scheme}_proxy", "all_proxy"]
    names += [name.upper() for name in names]
    return next((name for name in names if os.environ.get(name) == value), names[0]), value


def _check_proxy(name: str, value: str) -> None:
    from urllib3.util import parse_url

    scheme, colon, _ = value.partition("://")
    shown = shown_proxy(name, value)
    if colon and scheme.lower() not in ("http", "https"):
        raise BuildError(
            f"{name} names a {scheme} proxy, which is not supported",
            where=shown,
            hint=f"name an HTTP proxy, https_proxy={_PROXY}; or unset {name}",
        )
    # Without a scheme, requests accepts a host but no user or password.
    try:
        usable = bool(parse_url(value if colon else f"http://{value}").host) and (
            bool(colon) or "@" not in value
        )
    except ValueError:
        usable = False
    if not usable:
        raise BuildError(
            f"{name} is not the address of a proxy",
            where=shown,
            hint=f"set it to {_PROXY}; or unset {name}",
        )


def shown_proxy(name: str, value: str) -> str:
    """`name` and `value` for messages: without user and password."""
    return f"{name}={without_password(value) if '://' in value else value.rpartition('@')[2]}"


def proxy_remedy(name: str) -> str:
    """The remedy if the proxy in the variable `name` does not work."""
    return f"set {name} to a working proxy ({_PROXY}), or unset it; no_proxy=HOST excludes a host"


def user_remedy() -> str:
    """The remedy if a proxy requires a user."""
    return "the proxy needs a user: https_proxy=http://USER:PASSWORD@HOST:PORT, also in http_proxy"


def certificate_remedy(error: BaseException) -> str:
    """The remedy if a server's certificate is refused with `error`; "" if none is known."""
    return _OF_CERTIFICATE.get(getattr(error, "verify_code", 0), "")
