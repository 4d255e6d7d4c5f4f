"""Build the configuration of HAProxy 2.6 from the policy.

Input: a ProxyPolicy and a Placement. Output: the text of haproxy.cfg and the files that it names. Pure; `supervisor`
writes and checks them. Text of users is never part of the configuration: names are compared with a pattern first, other
values are written as hexadecimal digits or into files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from triton_operator.proxy import audit, last_verifier, routes
from triton_operator.proxy.admissions import ADMISSIONS, admission_comments, admission_table
from triton_operator.proxy.callers import CLIENT_AUTHORITIES, RATES, authenticate, key_files
from triton_operator.proxy.models import (
    CHECKED,
    check_messages,
    choose_backend,
    limit_models,
    limit_sizes,
)
from triton_operator.proxy.placement import Placement
from triton_operator.proxy.policy_check import check_policy
from triton_operator.proxy.refusals import OWN_ERRORS, error_file, response_files
from triton_operator.proxy.scripts import load_scripts, script_files
from triton_operator.proxy.sources import (
    count_cancelled,
    limit_connections,
    limit_probes,
    limit_requests,
    refuse_cancelled,
    source_backends,
)
from triton_operator.proxy.successor import choose_successor, successor_backends
from triton_operator.proxy.token_memory import tokens_table
from triton_operator.proxy.token_verifier import has_tokens, verifier
from triton_operator.triton.proxy_contract.policy import ProxyPolicy

CONFIGURATION = "haproxy.cfg"


@dataclass(frozen=True)
class Configuration:
    """The files for HAProxy, by name in the placement's folder, among them CONFIGURATION."""

    files: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The content of haproxy.cfg."""
        return self.files[CONFIGURATION]


def render(policy: ProxyPolicy, placement: Placement) -> Configuration:
    """Build the files; raises ProxyError if the policy cannot be enforced."""
    check_policy(policy)
    newest = str(placement.folder.parent / CONFIGURATION)
    sections = (
        _global(policy, placement),
        _defaults(policy, placement),
        _https(policy, placement),
        _health(placement),
        _backends(placement),
        successor_backends(placement),
        verifier(policy, placement.folder, placement.threads + 1),
        tokens_table(),
        source_backends(),
        {f"backend {RATES}": ["stick-table type string len 256 size 1k expire 10s store gpc0,gpc0_rate(1s)"]},
    )
    text = "\n".join([*(_text(part) for part in sections if part), *admission_comments(policy), ""])
    last = last_verifier.sections(policy, placement.folder)
    return Configuration(
        {
            **response_files(),
            **key_files(policy),
            **script_files(),
            ADMISSIONS: admission_table(policy, newest),
            **({last_verifier.CONFIGURATION: _text(last)} if last else {}),
            CONFIGURATION: text,
        }
    )


def _text(sections: dict[str, list[str]]) -> str:
    return "\n".join(_section(title, lines) for title, lines in sections.items())


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"    {line}" for line in lines), ""])


def _global(policy: ProxyPolicy, placement: Placement) -> dict[str, list[str]]:
    return {
        "global": [
            # The last thread verifies tokens.
            f"nbthread {placement.threads + has_tokens(policy)}",
            f"maxconn {placement.max_connections}",
            # The time that a worker keeps its streams after a reload, and when the pod ends.
            f"hard-stop-after {max(policy.limits.max_connection_age_seconds, placement.drain_seconds)}s",
            # An old worker has about 10 MiB of memory of its own; the oldest one is ended if there are more.
            "mworker-max-reloads 10",
            *load_scripts(str(placement.folder)),
            "ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets",
            "tune.h2.max-concurrent-streams 100",
        ]
    }


def _defaults(policy: ProxyPolicy, placement: Placement) -> dict[str, list[str]]:
    age = policy.limits.max_connection_age_seconds
    return {
        "defaults": [
            "mode http",
            "option dontlognull",
            "option http-no-delay",
            # A client whose connection is closed at the moment when it sends a request gets an error. After a reload,
            # the old worker therefore closes a connection with the next response.
            "option idle-close-on-response",
            "timeout connect 2s",
            "timeout http-request 10s",
            # For idle connections with HTTP/2; those with HTTP/1.1 are closed after `timeout client`.
            f"timeout http-keep-alive {age}s",
            # Also the limit of the TLS handshake, and of a client that does not read. It does not limit pauses of a
            # stream, because `timeout server` applies while the server can respond.
            f"timeout client {placement.silence_seconds}s",
            # A model may compute for a long time; clients have their own limits.
            "timeout server 1h",
            *(f"errorfile {status.value} {placement.folder / error_file(status)}" for status in OWN_ERRORS),
        ]
    }


def _https(policy: ProxyPolicy, placement: Placement) -> dict[str, list[str]]:
    folder = str(placement.folder)
    certificates = f" ca-file {folder}/{CLIENT_AUTHORITIES} verify optional" if policy.client_cas else ""
    threads = f"thread 1-{placement.threads}"
    return {
        "frontend https": [
            f"bind {placement.https} {threads} ssl crt {placement.pem} alpn h2,http/1.1{certificates}",
            *limit_connections(),
            *count_cancelled(),
            *audit.log(policy.audit),
            *routes.acls(),
            *routes.protocol(),
            *limit_requests(folder),
            *routes.classify(folder),
            *authenticate(policy, placement.folder),
            *routes.allow_list(policy.open_endpoints, folder),
            *limit_models(policy, folder),
            *routes.lengths(folder),
            *limit_sizes(policy, folder),
            *refuse_cancelled(),
            *choose_successor(),
            *choose_backend(),
            "use_backend triton_grpc if grpc",
            "default_backend triton_http",
        ]
    }


def _health(placement: Placement) -> dict[str, list[str]]:
    return {
        "frontend health": [
            f"bind {placement.health} thread 1-{placement.threads}",
            *limit_probes(),
            *routes.health_only(str(placement.folder)),
            "default_backend triton_http",
        ]
    }


def _backends(placement: Placement) -> dict[str, list[str]]:
    # `safe` keeps the calls of one client on its own connections: a client that does not read its responses would
    # otherwise stop those of others.
    grpc = [*routes.clean(), "http-reuse safe", f"server triton {placement.triton_grpc} proto h2"]
    return {
        "backend triton_http": [*routes.clean(), "http-reuse always", f"server triton {placement.triton_http}"],
        "backend triton_grpc": grpc,
        f"backend {CHECKED}": [*check_messages(str(placement.folder)), *grpc],
    }
