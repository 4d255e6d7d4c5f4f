"""Load the address and the credentials of an API server with the official `kubernetes` package.

Input: a kubeconfig and a context, or the environment of a pod. Output: the package's `ApiClient` and the default
namespace, for `kubernetes_client`.

The package reads certificates, tokens, exec plugins, proxies and several files in KUBECONFIG, and renews credentials
that expire. Importing it takes 0.3 s, so it is imported when a cluster is first needed.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from triton_operator.sdk.cluster_errors import error_of_config
from triton_operator.sdk.kube_context import KubeContext, is_inside

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def open_api(cluster: KubeContext) -> tuple[Any, str]:
    """Return the `ApiClient` and the default namespace; raises UnreachableError if no cluster is configured."""
    try:
        client: Any = import_module("kubernetes.client")
        config: Any = import_module("kubernetes.config")
    except ImportError as error:
        raise error_of_config(error) from error
    import yaml

    settings = client.Configuration()
    settings.retries = 0  # `kubernetes_client` retries what the server asks to be sent again, and nothing else.
    settings.keep_alive = True  # Without it, a watch over a dead link would wait until its end.
    try:
        if is_inside(os.environ, cluster):
            config.load_incluster_config(client_configuration=settings)
            namespace = _NAMESPACE_FILE.read_text().strip()
        else:
            file = _file(cluster)
            context = cluster.context or _current_context(file)
            _check_user(config, file, context)
            with _logged_errors_raised(config.ConfigException):
                config.load_kube_config(file, context, client_configuration=settings, persist_config=False)
            _check_token(config, settings)
            namespace = _namespace(config, file, context)
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError) as error:
        raise error_of_config(error) from error
    except (TypeError, AttributeError) as error:  # A value has another type, such as a list instead of a mapping.
        raise error_of_config(ValueError(f"the kubeconfig is malformed: {error}")) from error
    if not settings.verify_ssl:  # The kubeconfig sets insecure-skip-tls-verify; kubectl prints no warning either.
        warnings.simplefilter("ignore", import_module("urllib3.exceptions").InsecureRequestWarning)
    try:
        return client.ApiClient(settings), namespace
    except ImportError as error:
        message = f"the kubeconfig's proxy {settings.proxy} requires a package: pip install pysocks ({error})"
        raise error_of_config(ValueError(message)) from error


def context_names(cluster: KubeContext) -> list[str]:
    """Names of the contexts in the kubeconfig; raises UnreachableError if there is none."""
    try:
        config: Any = import_module("kubernetes.config")
    except ImportError as error:
        raise error_of_config(error) from error
    import yaml

    try:
        contexts, _ = config.list_kube_config_contexts(_file(cluster))
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError) as error:
        raise error_of_config(error) from error
    return [str(each["name"]) for each in contexts]


class _ErrorMessages(logging.Handler):
    """Collects the messages of errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.found.append(record.getMessage())


@contextmanager
def _logged_errors_raised(error: type[Exception]) -> Iterator[None]:
    """Raise what the package logs: if an exec plugin fails, it logs that and continues without credentials."""
    messages = _ErrorMessages()
    logging.getLogger().addHandler(messages)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(messages)
    if messages.found:
        raise error(messages.found[-1])


def _file(cluster: KubeContext) -> str | None:
    """The kubeconfig; the package read KUBECONFIG when it was imported, and would not see a later value."""
    return cluster.kubeconfig or os.environ.get("KUBECONFIG") or None


def _current_context(file: str | None) -> str | None:
    """The current context of several kubeconfigs is the first that is set; the package uses the last."""
    import yaml

    paths = [Path(path).expanduser() for path in (file or "").split(os.pathsep) if path]
    if len(paths) > 1:
        for path in filter(Path.exists, paths):
            if context := (yaml.safe_load(path.read_text()) or {}).get("current-context"):
                return str(context)
    return None


def _check_token(config: Any, settings: Any) -> None:
    """Reject the token of an exec plugin that returned `token: null`, now and after each renewal."""
    renew = settings.refresh_api_key_hook

    def renew_checked(renewed: Any) -> None:
        renew(renewed)
        _check_token(config, renewed)  # The package has replaced the hook.

    token = settings.api_key.get("BearerToken")
    if token is not None and token.removeprefix("Bearer").strip() in {"", "None"}:
        raise config.ConfigException("the user's exec plugin returned no token")
    if renew is not None:
        settings.refresh_api_key_hook = renew_checked


def _check_user(config: Any, file: str | None, context: str | None) -> None:
    """Reject a user that is missing or impersonates: the package would send requests with different rights."""
    name = _context(config, file, context).get("user")
    if not name:
        return
    path = file or config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    merged = config.kube_config.KubeConfigMerger(path).config
    found = merged["users"].get_with_name(name, safe=True) if merged.safe_get("users") else None
    if found is None:
        raise ValueError(f"the kubeconfig has no user {name!r}")
    if impersonation := [key for key in ("as", "as-uid", "as-groups", "as-user-extra") if key in found["user"]]:
        raise ValueError(f"user {name!r} sets {', '.join(impersonation)}, and impersonation is not supported")


def _namespace(config: Any, file: str | None, context: str | None) -> str:
    """The namespace of the context."""
    return str(_context(config, file, context).get("namespace") or "default")


def _context(config: Any, file: str | None, name: str | None) -> dict[str, Any]:
    """The context of that name, else the current one."""
    contexts, active = config.list_kube_config_contexts(file)
    chosen = next((each for each in contexts if each["name"] == name), active)
    return dict(chosen["context"])
