"""What the environment says of the way out: whose certificates count, and which proxy to ask.

    REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE ▶ SSL_CERT_FILE ▶ SSL_CERT_DIR ▶ those of certifi
    http_proxy, https_proxy ▶ all_proxy      no_proxy: which hosts are asked without one

`requests` knows all of these but the two of OpenSSL's (SSL_CTX_set_default_verify_paths(3)), which
are what people set for everything. What it says of a wrong one names neither variable nor remedy.
"""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cache.places import without_password
from plan.errors import BuildError

_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_NAME_THEM = (
    "name a file with certificates (PEM), on Debian /etc/ssl/certs/ca-certificates.crt, or unset it"
)
_PROXY = "http://HOST:PORT, for addresses of https too"
_CLOCK = "is the clock of this machine right? doit doctor compares it"
_OWN_CA = (
    "where a network has a certificate authority of its own, SSL_CERT_FILE=FILE names its "
    "certificate; on Debian /etc/ssl/certs/ca-certificates.crt has those that the system trusts"
)
# By what OpenSSL says of a certificate: X509_V_ERR_*, x509_vfy.h.
_OF_CERTIFICATE = dict.fromkeys((9, 10), _CLOCK) | dict.fromkeys((18, 19, 20, 21), _OWN_CA)


def check(url: str) -> None:
    """Raise BuildError if nothing can be asked for `url` because a variable is wrong."""
    if url.startswith("https:"):
        certificates()
    if found := proxy_of(url):
        _check_proxy(*found)


def certificates() -> str | None:
    """The file or directory of the certificates to trust; None for those of certifi.

    Raises BuildError if a variable names none.
    """
    name = next((name for name in _CERTIFICATES if os.environ.get(name)), None)
    if name is None:
        return None
    value = os.environ[name]
    # OpenSSL takes several directories.
    places = value.split(":") if name == "SSL_CERT_DIR" else [value]
    place = next((place for place in places if Path(place).exists()), None)
    wrong = "there is no such file or directory" if place is None else _unusable(place)
    if wrong:
        raise BuildError(f"{name} is wrong: {wrong}", where=f"{name}={value}", hint=_NAME_THEM)
    return place


@functools.cache
def _unusable(place: str) -> str:
    if Path(place).is_dir():
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(place)
    except ssl.SSLError:
        return "it holds no certificates (PEM)"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


def proxy_of(url: str) -> tuple[str, str] | None:
    """The variable that names the proxy for `url`, and its value; None where none is asked."""
    from requests.utils import get_environ_proxies, select_proxy

    value = select_proxy(url, get_environ_proxies(url))
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
            f"{name} names a proxy for {scheme}, which is not supported here",
            where=shown,
            hint=f"name one for HTTP, https_proxy={_PROXY}; or unset {name}",
        )
    # Without a scheme, requests takes a host but neither user nor password.
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
            hint=f"it is {_PROXY}; or unset {name}",
        )


def shown_proxy(name: str, value: str) -> str:
    """`name` and `value` as they may be shown: without user and password."""
    return f"{name}={without_password(value) if '://' in value else value.rpartition('@')[2]}"


def proxy_remedy(name: str) -> str:
    """What helps where the proxy that the variable `name` has does not do its work."""
    return f"have {name} name one that answers ({_PROXY}), or unset it; no_proxy=HOST spares a host"


def user_remedy() -> str:
    """What helps where a proxy wants to know who asks."""
    return "the proxy wants a user: https_proxy=http://USER:PASSWORD@HOST:PORT, http_proxy likewise"


def certificate_remedy(error: BaseException) -> str:
    """What helps where the certificate of a server is refused with `error`, "" if nothing does."""
    return _OF_CERTIFICATE.get(getattr(error, "verify_code", 0), "")
