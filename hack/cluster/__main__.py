"""Command line: `python -m hack.cluster up|down|status|kubeconfig|reach|images|check-kind|tools`."""

from __future__ import annotations

import argparse
import signal
import sys

from hack import cluster as clusters
from hack.cache import give_back
from hack.cluster import kind, kindcheck
from hack.cluster.choice import KINDS
from hack.cluster.native import node
from hack.failures import LocalClusterError
from hack.progress import say


def main() -> int:
    """Run the command; returns 0 on success, 1 on failure or, for `status`, if no cluster is running."""
    arguments = _parser().parse_args()
    try:
        code: int = arguments.run(arguments)
    except (LocalClusterError, NotADirectoryError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run the same command again to continue")
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hack.cluster", description="A local Kubernetes cluster.")
    parser.add_argument("--cluster", choices=KINDS, help="which kind; otherwise $CLUSTER, then what the machine has")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("up", _up, "start the cluster; does nothing when it runs"),
        ("down", _down, "stop it and leave nothing but downloaded and built files in the cache folder"),
        ("status", _status, "say what runs"),
        ("kubeconfig", _kubeconfig, "print the path of an administrator's kubeconfig"),
        ("images", _images, "list the images on the native node"),
        ("check-kind", _check_kind, "ask kind whether it accepts kind-config.yaml; needs no container engine"),
        ("tools", _tools, "build what is missing and print the folder of programs"),
    ):
        commands.add_parser(name, help=text, description=text).set_defaults(run=run)
    reach = commands.add_parser("reach", help="open a port of this machine to a Service, until interrupted")
    reach.add_argument("namespace")
    reach.add_argument("service")
    reach.add_argument("port", help="number or name")
    reach.set_defaults(run=_reach)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    try:
        cluster = clusters.ensure(arguments.cluster)
    finally:
        give_back()
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    clusters.down(arguments.cluster)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    chosen = clusters.which(arguments.cluster)
    print(f"{chosen.kind}: {chosen.reason}")
    if chosen.kind != "native":
        return 0
    states = node.status()
    for name, state in states.items():
        past = f", {state['restarts']} restarts, last ended with {state['lastExit']}" if state["restarts"] else ""
        print(f"  {name}: {'running' if state['running'] else 'not running'}{past}")
    if not states:
        print("  no node is running")
    return 0 if states else 1


def _kubeconfig(arguments: argparse.Namespace) -> int:
    print(_running(arguments).kubeconfig)
    return 0


def _images(arguments: argparse.Namespace) -> int:
    cluster = _running(arguments)
    if not isinstance(cluster, node.NativeCluster):
        raise LocalClusterError(f"images are listed on the native node only; this cluster is {cluster.kind}")
    for reference, digest in sorted(cluster.images().items()):
        print(f"{reference} {digest}")
    return 0


def _tools(_: argparse.Namespace) -> int:
    print(clusters.tools())
    return 0


def _check_kind(_: argparse.Namespace) -> int:
    objection = kindcheck.objection(kind.CONFIG)
    if objection:
        raise LocalClusterError(f"kind refuses {kind.CONFIG}: {objection}")
    say(f"kind accepts {kind.CONFIG}")
    return 0


def _reach(arguments: argparse.Namespace) -> int:
    ending = {signal.SIGINT, signal.SIGTERM}
    with _running(arguments).reach(arguments.namespace, arguments.service, arguments.port) as address:
        signal.pthread_sigmask(signal.SIG_BLOCK, ending)
        print(address, flush=True)
        say("press Ctrl-C to stop")
        signal.sigwait(ending)
    return 0


def _running(arguments: argparse.Namespace) -> clusters.RunningCluster:
    cluster = clusters.running(arguments.cluster)
    if cluster is None:
        raise LocalClusterError("no cluster runs: start one with `python -m hack.cluster up`")
    return cluster


if __name__ == "__main__":
    sys.exit(main())
