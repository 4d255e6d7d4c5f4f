"""Secure aggregation: the coordinator learns the sum of all updates, but not the update of a party.

In Flower's SecAgg+, pairs of parties agree on secrets through the coordinator, which cannot read them, and add masks
that cancel out in the sum. Flower runs the protocol on a `Grid` of messages. Here, the messages are sent inside
ordinary `fit` calls over gRPC: by `MaskedRounds` at the coordinator, and by `MaskedParty` at the party.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.client import ClientApp, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.common import Config, FitIns, NDArrays, Parameters, Scalar
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.compat.common.recorddict_compat import arrayrecord_to_parameters, parameters_to_arrayrecord
from flwr.proto.recorddict_pb2 import RecordDict as Wire
from flwr.server import Grid, LegacyContext, Server, ServerConfig
from flwr.server.client_manager import ClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.server import FitResultsAndFailures
from flwr.server.strategy import Strategy
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

RECORDS = "records"
"""Key of a protocol message in the configuration of a call and in the metrics of its response."""

MOST_ROWS = 1000
"""Maximum rows per party: with larger weights, the sum could exceed the range of the masks (Flower's max_weight)."""

_NODE = "node"
_ARRIVAL_SECONDS = 300
_ALL = 1.0
"""Share of the parties that must remain: with a lower threshold, fewer colluding parties could reveal an update."""


class MaskedRoundError(RuntimeError):
    """A round of secure aggregation was aborted, because a party left or violated the protocol."""


def identify() -> None:
    """Set the run's identifier, as Flower's own programs do; messages cannot be created without it."""
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 0


class MaskedParty(NumPyClient):
    """A party that responds only to protocol messages, so that it never sends an unmasked update."""

    def __init__(self, party: NumPyClient) -> None:
        identify()
        self._app = ClientApp(client_fn=lambda _: party.to_client(), mods=[secaggplus_mod])
        self._context = Context(0, 0, {}, RecordDict(), {})

    def fit(self, parameters: NDArrays, config: Config) -> tuple[NDArrays, int, dict[str, Scalar]]:  # noqa: ARG002 - Flower's signature.
        """Decode a protocol message, handle it and encode the response."""
        request = Message(_unpacked(config[RECORDS]), int(str(config[_NODE])), MessageType.TRAIN)
        answer = self._app(request, self._context)
        return [], 1, {RECORDS: _packed(answer.content)}


class MaskedRounds(Server):
    """A Flower server whose training rounds are rounds of SecAgg+."""

    def __init__(self, *, parties: int, client_manager: ClientManager, strategy: Strategy) -> None:
        super().__init__(client_manager=client_manager, strategy=strategy)
        self._parties = parties

    def fit_round(
        self, server_round: int, timeout: float | None
    ) -> tuple[Parameters | None, dict[str, Scalar], FitResultsAndFailures]:
        """Run the four stages of one round. Raises MaskedRoundError if the protocol was aborted."""
        identify()
        self.client_manager().wait_for(self._parties, round(timeout or _ARRIVAL_SECONDS))
        proxies = dict(enumerate(sorted(self.client_manager().all().values(), key=lambda each: each.cid), start=1))
        for node, proxy in proxies.items():
            proxy.node_id = node
        context = LegacyContext(
            Context(0, 0, {}, RecordDict(), {}), ServerConfig(), self.strategy, self.client_manager()
        )
        before = parameters_to_arrayrecord(self.parameters, keep_input=True)
        context.state.array_records[MAIN_PARAMS_RECORD] = before
        context.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: server_round})
        SecAggPlusWorkflow(_ALL, _ALL, max_weight=float(MOST_ROWS), timeout=timeout)(_Relay(proxies), context)
        after = context.state.array_records[MAIN_PARAMS_RECORD]
        if after is before:
            raise MaskedRoundError(
                f"round {server_round}: secure aggregation was aborted: a party left or violated the protocol"
            )
        return arrayrecord_to_parameters(after, keep_input=False), {}, ([], [])


class _Relay(Grid):
    """A `Grid` that sends protocol messages in `fit` calls, to all parties concurrently."""

    def __init__(self, proxies: Mapping[int, ClientProxy]) -> None:
        self._proxies = proxies

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Call each party, and return the responses in the order of the messages."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda message: self._call(message, timeout), messages))

    def _call(self, message: Message, timeout: float | None) -> Message:
        node = message.metadata.dst_node_id
        call = FitIns(Parameters([], "numpy.ndarray"), {RECORDS: _packed(message.content), _NODE: node})
        answer = self._proxies[node].fit(call, timeout, None)
        return Message(_unpacked(answer.metrics[RECORDS]), reply_to=message)

    def get_node_ids(self) -> list[int]:
        """Return the numbers of the parties in this round."""
        return list(self._proxies)

    def set_run(self, run: Run) -> None:
        """Not used by the protocol."""
        raise NotImplementedError

    @property
    def run(self) -> Run:
        """Not used by the protocol."""
        raise NotImplementedError

    def create_message(self, *_: object, **__: object) -> Message:
        """Not used by the protocol."""
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Not used by the protocol: every call waits for its answer."""
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Not used by the protocol: every call waits for its answer."""
        raise NotImplementedError


def _packed(records: RecordDict) -> bytes:
    return bytes(recorddict_to_proto(records).SerializeToString())


def _unpacked(content: object) -> RecordDict:
    if not isinstance(content, bytes):
        raise TypeError(f"expected a message of secure aggregation as bytes, got {type(content).__name__}")
    return recorddict_from_proto(Wire.FromString(content))
