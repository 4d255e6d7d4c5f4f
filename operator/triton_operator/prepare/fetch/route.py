"""The way to the servers of models: directly, or through the HTTP proxy of the request.

Input: a FetchProxy. Output: a FetchRoute, with which the origins configure their clients. The proxy's user name and
password come from a mounted Secret and are never part of a message.
"""

from __future__ import annotations

import urllib.request
from http.client import responses
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from triton_operator.api.conditions import Reason
from triton_operator.api.http_proxy import LINK_LOCAL, is_direct
from triton_operator.prepare.errors import PrepareError
from triton_operator.prepare.fetch.credentials import Credentials
from triton_operator.prepare.fetch.origin import BUSY, TransientError
from triton_operator.triton.prepare_contract.request import FetchProxy

FIELD = "prepare.httpProxy"


class FetchRoute(NamedTuple):
    """A proxy and the servers that are reached without it; without a `url`, all of them.

    `url` contains the credentials, and `shown` does not.
    """

    url: str = ""
    shown: str = ""
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def of(cls, proxy: FetchProxy | None) -> FetchRoute:
        """The route of a request; raises PrepareError if the Secret of the proxy cannot be used."""
        if proxy is None:
            return cls()
        shown, url = proxy.url.rstrip("/"), proxy.url.rstrip("/")
        credentials = Credentials(proxy.credentials, f"{FIELD}.credentialsSecretRef")
        if credentials:
            user, password = (quote(each, safe="") for each in credentials.need("username", "password"))
            url = f"http://{user}:{password}@{urlsplit(shown).netloc}"
        return cls(url, shown, (*proxy.no_proxy, *LINK_LOCAL))

    def is_proxied(self, url: str) -> bool:
        """Whether the server of this URL is reached through the proxy."""
        return bool(self.url) and not is_direct(url, self.no_proxy)

    def describe(self, shown: str, url: str) -> str:
        """The URL for messages, which name the proxy, too, because it can be the cause of each error."""
        return f"{shown} (through the proxy {self.shown})" if self.is_proxied(url) else shown

    def refused(self, shown: str, status: int) -> PrepareError | TransientError:
        """The error for a response of the proxy itself."""
        answer = f"the proxy answered {status} {responses.get(status, '')}".rstrip()
        if status in BUSY or status >= 500:  # noqa: PLR2004 -- HTTP's; the proxy cannot reach the server
            return TransientError(answer)
        return PrepareError(Reason.ACCESS_DENIED, "", f"{shown}: {answer}; {self._advice(status)}")

    def _advice(self, status: int) -> str:
        if status not in {401, 407}:  # Some proxies respond to a wrong password with 401.
            return f"allow the server in the proxy, or correct {FIELD}"
        if self.url == self.shown:
            return f"the proxy requires credentials; set {FIELD}.credentialsSecretRef"
        return f"check the Secret of {FIELD}.credentialsSecretRef"


class ProxyOfRoute(urllib.request.ProxyHandler):
    """Decides for each request of a urllib opener, also after a redirect, whether it passes through the proxy."""

    def __init__(self, route: FetchRoute) -> None:
        """`route` has a proxy."""
        super().__init__({"http": route.url, "https": route.url})
        self._route = route

    def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> None:  # noqa: A002 -- the library's
        """Set the proxy of the request, unless its server is reached directly."""
        if self._route.is_proxied(req.full_url):
            super().proxy_open(req, proxy, type)
