"""`tritonctl run`: serve models on this machine as the operator would serve them, without a cluster.

Input: the models at a path, as `models` finds them. Output: a server on loopback until it is stopped; only the cache
folder remains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triton_operator.cli import vault_options
from triton_operator.cli.failures import CommandFailedError, UsageError
from triton_operator.cli.interruptions import interruptible
from triton_operator.cli.run.keys import KeyOption
from triton_operator.cli.run.models import LocalModels, local_models
from triton_operator.cli.terminal.output import say
from triton_operator.cli.vault_options import VaultOptions

if TYPE_CHECKING:
    from triton_operator.api.spec import Spec
    from triton_operator.encryption.keyset import KeysetOf
    from triton_operator.local.environment import Environment
    from triton_operator.local.models import StagedModels
    from triton_operator.local.plaintext import Plaintext
    from triton_operator.local.ports import Ports
    from triton_operator.local.server import Server

EPILOG = """\b
Examples:
  tritonctl run model_repository/digits
  tritonctl run model_repository --skip-broken
  tritonctl run model.pt --cpus 2
  tritonctl run examples/digits.yaml --repository model_repository --http-port 9000
  tritonctl run encrypted/digits --key keyset.json
  tritonctl run encrypted/digits --vault https://vault.example.com:8200 --vault-key models
\b
The first start downloads Triton and torch (1 GB) to ~/.cache/triton-operator, or to TRITON_OPERATOR_CACHE if it is set.
Requires Linux on x86-64 and Python 3.11 or 3.12. Ctrl-C stops the server; only the cache folder remains.
"""
_STARTS = 3
"""Attempts to start Triton if another program takes a port."""
_NAMED = 3
"""Up to this number of models are listed by name."""


def run(
    path: Annotated[
        Path,
        typer.Argument(metavar="DIR|FILE", help="Model folder or file, model repository, or ModelDeployment YAML."),
    ],
    repository: Annotated[
        Path | None,
        typer.Option(
            "--repository", "-r", metavar="DIR", help="Local folder to use as the YAML file's model repository."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="ModelDeployment to serve, if the YAML file has several.")
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="File with the keys of encrypted models; by default, tritonctl prompts for them.",
        ),
    ] = None,
    vault: vault_options.Address = "",
    vault_key: vault_options.KeyName = "",
    vault_path: vault_options.TransitPath = "transit",
    vault_ca_file: vault_options.CAFile = None,
    vault_token_file: vault_options.TokenFile = None,
    http_port: Annotated[
        int,
        typer.Option(
            "--http-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="HTTP port; 0 selects 8000, or a free port if 8000 is in use.",
        ),
    ] = 0,
    grpc_port: Annotated[
        int,
        typer.Option(
            "--grpc-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="gRPC port; 0 selects 8001, or a free port if 8001 is in use.",
        ),
    ] = 0,
    metrics_port: Annotated[
        int,
        typer.Option(
            "--metrics-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Metrics port; 0 selects 8002, or a free port if 8002 is in use.",
        ),
    ] = 0,
    cpus: Annotated[
        int,
        typer.Option(
            "--cpus", metavar="N", min=0, help="Number of CPUs to configure instances and threads for; 0 for all."
        ),
    ] = 0,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="In a folder, skip the models that cannot be served.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print the server's log, including its startup.")
    ] = False,
) -> None:
    """Serve models on this machine with Triton on the CPU, using the same configuration and flags as in a cluster.

    The exit status is 1 if a model cannot be loaded, and 2 if a file is invalid or this machine is not supported.
    """
    from triton_operator.encryption.errors import VaultError
    from triton_operator.local.errors import LocalError, UnsupportedMachineError

    try:
        with interruptible(), local_models(path, repository, name, skip_broken=skip_broken) as found:
            options = VaultOptions(vault, vault_key, vault_path, vault_ca_file, vault_token_file)
            keys = KeyOption(key, options, path)
            keys.check(found.deployment.spec)
            _serve(found, keys, (http_port, grpc_port, metrics_port), cpus, verbose=verbose)
    except UnsupportedMachineError as error:
        raise UsageError(str(error)) from error
    except (LocalError, VaultError) as error:
        raise CommandFailedError(str(error)) from error
    except ModuleNotFoundError as error:
        raise UsageError(f"serving these models requires {error.name}: pip install '.[cli,operator]'") from error
    except OSError as error:
        raise CommandFailedError(f"{error.filename or path}: {error.strerror or error}") from error


def _serve(found: LocalModels, keys: KeyOption, requested: tuple[int, int, int], cpus: int, *, verbose: bool) -> None:
    """Run the fast checks, then install what is missing, then serve."""
    import os

    from triton_operator.cli.terminal.progress import step
    from triton_operator.local.environment import ensure_environment, link_backends, plan_environment
    from triton_operator.local.folders import cache_folder, run_folder
    from triton_operator.local.machine import usable_cpus
    from triton_operator.local.models import adapt, stage_models
    from triton_operator.local.ports import choose_ports

    limit = found.deployment.spec.resources.limits.get("cpu")
    cpus = cpus or (0 if limit is not None else usable_cpus())
    deployment, notes = adapt(found.deployment, cpus)
    chosen = f"{cpus} CPU{'s' if cpus > 1 else ''}" if cpus else f"the limit of {limit} CPUs in the spec"
    _say(*notes)
    cache = cache_folder(os.environ, Path.home())
    planned = plan_environment(cache)
    choose_ports(*requested)
    _say(f"instances and threads are chosen for {chosen}; use --cpus N to change this")
    keyset_of = keys.read(deployment.spec)
    with run_folder(cache) as folder, _memory(folder, keyset_of) as plaintext:
        staged = stage_models(deployment, found.folder, folder, cache, plaintext)
        environment = ensure_environment(planned, step)
        link_backends(environment, folder / "backends")
        with _started(deployment.spec, environment, folder, staged, requested, verbose=verbose) as (server, ports):
            _serve_until_interrupted(server, staged, ports, folder)


@contextmanager
def _memory(run: Path, keyset_of: KeysetOf | None) -> Iterator[Plaintext | None]:
    """The folder in memory for decrypted models; None if the keys are not needed."""
    if keyset_of is None:
        yield None
        return
    from triton_operator.local.plaintext import Plaintext, plaintext_folder, swap_warning

    with plaintext_folder(run) as folder:
        if warning := swap_warning():
            _say(warning)
        yield Plaintext(folder, keyset_of)


@contextmanager
def _started(
    spec: Spec,
    environment: Environment,
    folder: Path,
    staged: StagedModels,
    requested: tuple[int, int, int],
    *,
    verbose: bool,
) -> Iterator[tuple[Server, Ports]]:
    """Start a server and wait until it is ready; retry with other ports if an automatically chosen one is taken."""
    import os

    from triton_operator.cli.terminal.progress import step
    from triton_operator.local.command import ServerContext, server_command, server_variables
    from triton_operator.local.errors import PortTakenError
    from triton_operator.local.ports import choose_ports
    from triton_operator.local.server import running_server
    from triton_operator.resources.probes import startup_seconds

    for left in reversed(range(_STARTS)):
        ports = choose_ports(*requested)
        context = ServerContext(environment, folder, ports)
        with running_server(
            server_command(spec, context, staged), server_variables(spec, context, os.environ), ports, _say
        ) as server:
            try:
                with step(f"Starting Triton with {_counted([model.name for model in staged.models])}"):
                    if verbose:
                        server.forward_log()
                    server.wait_ready(startup_seconds(spec))
            except PortTakenError as lost:
                if not left or lost.port in requested:
                    raise
                _say(f"port {lost.port} was taken by another program; starting again with another port")
                continue
            yield server, ports
            return


def _serve_until_interrupted(server: Server, staged: StagedModels, ports: Ports, folder: Path) -> None:
    """Serve until the user interrupts, also during the announcement; that is a success."""
    try:
        _announce(staged, ports, folder)
        server.serve()
    except KeyboardInterrupt:
        with suppress(OSError):  # The terminal may be closed.
            _say("", "stopping Triton …")


def _announce(staged: StagedModels, ports: Ports, folder: Path) -> None:
    """Print the models, the addresses and commands to copy."""
    from triton_operator.local.models import RELEASE
    from triton_operator.local.ports import ADDRESS
    from triton_operator.local.sample import metadata

    described = {model.name: metadata(ports.http, model.name) for model in staged.models}
    name = next(
        (each for each, description in described.items() if description.get("platform") == "ensemble"),
        staged.models[0].name,
    )
    typer.echo(f"\nTriton {RELEASE} is serving on this machine until Ctrl-C:")
    for model in staged.models:
        typer.echo(f"  {model.name}  version {', '.join(model.versions)}")
    typer.echo(
        f"  HTTP {ADDRESS}:{ports.http}   gRPC {ADDRESS}:{ports.grpc}   metrics {ADDRESS}:{ports.metrics}/metrics\n"
        "\nIn another terminal, send a request:\n"
        f"  tritonctl infer {name} --url {ADDRESS}:{ports.http} {_sample(described[name], folder)}\n"
        f"  curl {ADDRESS}:{ports.http}/v2/models/{name}\n"
    )


def _sample(described: dict[str, Any], folder: Path) -> str:
    """Options of `infer` with an example input: a text, or a file that is deleted with the server."""
    import json

    from triton_operator.local.sample import SAMPLE_TEXT, accepts_only_text, sample_request

    if accepts_only_text(described):
        return f"--text {SAMPLE_TEXT}"
    sample = folder / "tmp" / f"{described['name']}.json"
    sample.write_text(json.dumps(sample_request(described)))
    return f"--input {sample}"


def _say(*lines: str) -> None:
    for line in lines:
        say(line, err=True)


def _counted(names: Sequence[str]) -> str:
    return _listed(names) if len(names) <= _NAMED else f"{len(names)} models"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
