"""A bucket of an S3 server: the folders of the requested models, listed and read in ranges.

`obstore` (Rust's object_store) signs requests, finds the identity of the pod if the cluster provides one, and handles
TLS. Retries are implemented here, because they must end with a reason for the user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn, cast

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PreconditionError
from obstore.store import S3Store

from triton_operator.api.conditions import Reason
from triton_operator.prepare.errors import PrepareError, not_found
from triton_operator.prepare.fetch.credentials import Credentials
from triton_operator.prepare.fetch.names import safe_parts
from triton_operator.prepare.fetch.origin import (
    BUSY,
    CHUNK,
    RemoteFile,
    SourceChangedError,
    TransientError,
    source_invalid,
)
from triton_operator.prepare.fetch.route import FetchRoute
from triton_operator.prepare.fetch.tls import read_ca_bundle, untrusted
from triton_operator.prepare.repository import MAX_ENTRIES, SHOWN_ENTRIES
from triton_operator.triton.prepare_contract.request import Download

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, S3Config

CONNECT_SECONDS, SILENCE_SECONDS = 5, 15
_POD_IDENTITY = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
"""Variables that the cluster sets in pods whose ServiceAccount has an identity, which then signs requests."""

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*([A-Za-z]+)")
_CAUSES = {
    "ConnectionRefused": "the connection was refused",
    "dns error": "the server's name cannot be resolved",
    "TimedOut": "the server did not answer in time",
    "NetworkUnreachable": "the server's network is unreachable",
    "HostUnreachable": "the server is unreachable",
    "ConnectionReset": "the connection was reset",
    "InvalidContentType": "the server does not use TLS on this port",
    "InvalidMessage": "the server does not use TLS on this port",
    "TunnelUnsuccessful": "the proxy did not connect to the server; check whether it requires credentials, allows the "
    "server and can reach it",
}
"""Words in obstore's error messages, and their meaning."""


class S3Origin:
    """The bucket of a Download."""

    def __init__(self, download: Download, route: FetchRoute) -> None:
        """Does not connect yet; raises PrepareError if the Secret or the certificates cannot be used."""
        assert download.s3  # noqa: S101 -- checked by the caller
        source = download.s3
        self._prefix = source.prefix.strip("/")
        self._folders = download.folders
        config = _config(download)
        self._advice = _advice(config)
        endpoint = (source.endpoint or "https://s3.amazonaws.com").rstrip("/")
        self.shown = route.describe("/".join(filter(None, (endpoint, source.bucket, self._prefix))), endpoint)
        self._route = route
        self._store = S3Store(
            source.bucket, config=config, client_options=_client(download, route), retry_config={"max_retries": 0}
        )

    def find(self) -> list[RemoteFile]:
        """The files of the requested models; raises TransientError or PrepareError."""
        found: dict[str, RemoteFile] = {}
        for folder in self._folders:
            files = [self._remote_file(path, size, version) for path, size, version in self._list(folder)]
            if not files:
                raise not_found("", self._nothing_there(folder))
            found |= {file.name: file for file in files}
            if len(found) > MAX_ENTRIES:
                raise not_found(
                    "", f"{self.shown}/{folder} has more than {MAX_ENTRIES} files; check whether the folder is correct"
                )
        return self._without_markers(found)

    def read(self, file: RemoteFile, start: int, end: int | None) -> Iterator[bytes]:
        """See `Origin.read`."""
        assert end is not None  # noqa: S101 -- listings contain all sizes
        options: GetOptions = {"range": (start, end)}
        if file.version.startswith('"'):
            options["if_match"] = file.version
        try:
            yield from obstore.get(self._store, file.key, options=options).stream(min_chunk_size=CHUNK)
        except PreconditionError as error:
            raise SourceChangedError from error
        except FileNotFoundError as error:  # It was just listed.
            raise SourceChangedError from error
        except BaseError as error:
            self._failed(error)

    def _list(self, folder: str) -> Iterator[tuple[str, int, str]]:
        try:
            for some in obstore.list(self._store, self._below(folder)):
                for item in some:
                    yield item["path"], item["size"], item["e_tag"] or item["last_modified"].isoformat()
        except InvalidPathError as error:
            raise source_invalid(f"{self.shown}: a key below {folder}/ cannot be the path of a file") from error
        except BaseError as error:
            self._failed(error)

    def _remote_file(self, key: str, size: int, version: str) -> RemoteFile:
        below = f"{self._prefix}/" if self._prefix else ""
        try:
            if not key.startswith(below):
                raise ValueError(f"{key!a} was not requested")  # noqa: TRY301 -- reported like the others
            name = "/".join(safe_parts(key.removeprefix(below)))
        except ValueError as error:
            raise source_invalid(f"{self.shown}: the key {error}") from error
        return RemoteFile(name, key, size, version)

    def _without_markers(self, found: dict[str, RemoteFile]) -> list[RemoteFile]:
        """Exclude the empty objects that some tools create for folders."""
        folders = {name[:end] for name in found for end in range(len(name)) if name[end] == "/"}
        for name in folders & found.keys():
            if found[name].size:
                raise source_invalid(f"{self.shown}: {name!a} is a file and a folder")
        return [file for name, file in found.items() if name not in folders]

    def _nothing_there(self, folder: str) -> str:
        """List the existing folders; errors of the listing are ignored."""
        try:
            siblings = cast("list[str]", obstore.list_with_delimiter(self._store, self._prefix)["common_prefixes"])
        except (BaseError, OSError):
            siblings = []
        names = sorted(name.rpartition("/")[2] for name in siblings)
        more = f" and {len(names) - SHOWN_ENTRIES} more" if len(names) > SHOWN_ENTRIES else ""
        listing = ", ".join(map(ascii, names[:SHOWN_ENTRIES])) + more if names else "no folder"
        return f'{self.shown} has no folder "{folder}"; it has {listing}'

    def _below(self, folder: str) -> str:
        return f"{self._prefix}/{folder}" if self._prefix else folder

    def _failed(self, error: BaseError) -> NoReturn:
        """Describe the error without the server's response, which may contain keys and signatures."""
        text = str(error)
        if certificate := _CERTIFICATE.search(text):
            raise untrusted(self.shown, _words(certificate[1])) from None
        if "ProxyAuthRequired" in text:
            raise self._route.refused(self.shown, 407) from None
        if "redirect without LOCATION" in text:
            raise self._elsewhere() from None
        if status := _STATUS.search(text):
            self._refused(int(status[1]), _CODE.search(text))
        causes = [meaning for word, meaning in _CAUSES.items() if word in text]
        raise TransientError(causes[0] if causes else "the connection was closed unexpectedly") from None

    def _elsewhere(self) -> PrepareError:
        return PrepareError(
            Reason.SOURCE_NOT_FOUND, "", f"{self.shown}: the bucket is in another region; set s3.region"
        )

    def _refused(self, status: int, code: re.Match[str] | None) -> NoReturn:
        if status == 407 and self._route.url:  # noqa: PLR2004 -- HTTP's
            raise self._route.refused(self.shown, status) from None
        answer = f"the server answered {status}" + (f" {code[1]}" if code else "")
        if status in BUSY:
            raise TransientError(answer) from None
        if code and code[1] == "AuthorizationHeaderMalformed":  # Amazon's response for a wrong region.
            raise self._elsewhere() from None
        # Some servers answer 404 also to an unknown access key; only the code identifies a missing bucket.
        if code[1].startswith("NoSuch") if code else status == 404:  # noqa: PLR2004 -- HTTP's
            message = f"{self.shown}: {answer}; correct s3.bucket and s3.endpoint"
            raise PrepareError(Reason.SOURCE_NOT_FOUND, "", message) from None
        raise PrepareError(Reason.ACCESS_DENIED, "", f"{self.shown}: {answer}; {self._advice}") from None


def _config(download: Download) -> S3Config:
    assert download.s3  # noqa: S101 -- checked by the caller
    config: S3Config = {"virtual_hosted_style_request": False}
    if download.s3.endpoint:
        config["endpoint"] = download.s3.endpoint.rstrip("/")
    if download.s3.region:
        config["region"] = download.s3.region
    credentials = Credentials(download.credentials)
    if credentials:
        config["access_key_id"], config["secret_access_key"] = credentials.need("accessKeyId", "secretAccessKey")
        if token := credentials.get("sessionToken"):
            config["session_token"] = token
    elif not any(os.environ.get(name) for name in _POD_IDENTITY):
        config["skip_signature"] = True
    return config


def _advice(config: S3Config) -> str:
    """Advice for a request that the server rejects."""
    if config.get("skip_signature"):
        return "the server requires credentials; set credentialsSecretRef"
    who = "the Secret of credentialsSecretRef" if "access_key_id" in config else "the identity of the ServiceAccount"
    return f"check {who} and its permissions to list and read objects"


def _client(download: Download, route: FetchRoute) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": True,  # CEL validated the endpoint: the user wrote http://.
        "connect_timeout": f"{CONNECT_SECONDS}s",
        "read_timeout": f"{SILENCE_SECONDS}s",
        "timeout": "1h",  # For a whole part; read_timeout detects stalled connections.
    }
    if route.url:
        options["proxy_url"], options["proxy_excludes"] = route.url, ",".join(route.no_proxy)
    if download.ca_bundle:
        options["root_certificate"] = read_ca_bundle(download.ca_bundle)
    return options


def _words(name: str) -> str:
    """`UnknownIssuer` as "unknown issuer"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()
