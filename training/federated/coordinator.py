"""The coordinator's process: it averages the updates of the parties, and has none of their rows.

    python -m training.federated.coordinator FOLDER HOST:PORT

FOLDER contains the settings and the validation set, whose rows belong to no party and are only used to report progress.
The process writes the weights of the last round and a report there, and prints one line per round. `run` starts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from flwr.common import FitIns, FitRes, Parameters, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import Server, ServerConfig, SimpleClientManager, start_server
from flwr.server.client_manager import ClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.strategy import FedAvg

from training.dataset import Part
from training.federated import division, learning, process, settings
from training.federated.learning import Arrays, Scaling
from training.federated.settings import REPORT, RESULT, ROUND, STATISTICS, TASK, TRAIN, Settings
from training.federated.task import Task, task_of
from training.fit import predict, validation_loss
from training.reproducible import reproducible

_ANSWER_SECONDS = 300


class MissingAnswerError(RuntimeError):
    """A party did not respond, so the average would silently omit its rows."""


class Averaging(FedAvg):
    """Federated averaging of all parties in every round, weighted by their rows.

    If statistics may be shared, the first round collects them, and the resulting scaling is sent with the weights in
    every later round. Otherwise, the scaling is derived from the published range of each feature.
    """

    def __init__(self, task: Task, agreed: Settings, validation: Part) -> None:
        super().__init__(fraction_evaluate=0.0, min_fit_clients=len(agreed.parties), accept_failures=False)
        self.min_available_clients = len(agreed.parties)
        self._agreed, self._recipe, self._validation = agreed, task.recipe, validation
        self._ranges = task.ranges
        self.scaling = published_scaling(self._ranges) if agreed.privacy else None
        with reproducible(agreed.seed):
            self._model = task.recipe.build()
        self.losses: list[float] = []
        self.arrays: Arrays = learning.weights(self._model)
        self.epsilon: dict[str, float] = {}
        self.rows: dict[str, int] = {}

    @property
    def rounds(self) -> int:
        """The number of rounds, including the one for statistics."""
        return self._agreed.rounds + self._first_training - 1

    @property
    def _first_training(self) -> int:
        return 1 if self._agreed.privacy else 2

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters:  # noqa: ARG002 - Flower's signature.
        """Return the initial weights, which do not come from a party."""
        return ndarrays_to_parameters(self.arrays)

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """Send the same request to every party."""
        client_manager.wait_for(len(self._agreed.parties), _ANSWER_SECONDS)
        if self.scaling is None:
            sent, task = [self._ranges[:, 1]], STATISTICS
        else:
            sent, task = [*parameters_to_ndarrays(parameters), self.scaling.mean, self.scaling.spread], TRAIN
        ins = FitIns(ndarrays_to_parameters(sent), {TASK: task, ROUND: server_round})
        return [(proxy, ins) for proxy in client_manager.all().values()]

    def aggregate_fit(
        self, server_round: int, results: list[tuple[ClientProxy, FitRes]], failures: list[Any]
    ) -> tuple[Parameters | None, dict[str, Any]]:
        """Average in the order of the parties' names, so that rounding is the same in every run."""
        if failures or len(results) != len(self._agreed.parties):
            raise MissingAnswerError(f"round {server_round}: {len(results)} of {len(self._agreed.parties)} answered")
        results = sorted(results, key=lambda each: str(each[1].metrics["party"]))
        for _, result in results:
            name = str(result.metrics["party"])
            self.rows[name] = result.num_examples
            if "epsilon" in result.metrics:
                self.epsilon[name] = float(result.metrics["epsilon"])
        averaged, _ = super().aggregate_fit(server_round, results, failures)
        assert averaged is not None  # noqa: S101 - there are results.
        if self.scaling is None:
            self.scaling = learning.scaling(parameters_to_ndarrays(averaged), self._ranges[:, 1])
            return ndarrays_to_parameters(self.arrays), {}
        self.arrays = parameters_to_ndarrays(averaged)
        return averaged, {}

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, dict[str, Any]] | None:
        """Evaluate a round on the validation set, and print the loss."""
        arrays = parameters_to_ndarrays(parameters)
        if server_round < self._first_training:
            return None
        assert self.scaling is not None  # noqa: S101 - the round before made it.
        learning.load(self._model, arrays, self.scaling)
        loss = validation_loss(self._model, self._recipe.loss, self._validation)
        self.losses.append(loss)
        metric = self._recipe.metrics[0]
        score = metric.measure(predict(self._model, self._validation.inputs), self._validation.targets)
        print(
            f"round {len(self.losses):>3}/{self._agreed.rounds}  validation {loss:.3g}  {metric.name} {score:.3g}",
            flush=True,
        )
        return loss, {}


def published_scaling(ranges: np.ndarray[Any, np.dtype[np.float64]]) -> Scaling:
    """Return a scaling derived from public data: mean one third, and deviation one sixth, of each feature's range.

    One third, because most values are in the lower half, and gradient descent is slow if means are far from zero.
    """
    lower, upper = ranges[:, 0], ranges[:, 1]
    return Scaling(lower + (upper - lower) / 3, (upper - lower) / 6)


def main(arguments: Sequence[str]) -> None:
    """Serve all rounds of one run."""
    folder, address = Path(arguments[0]), arguments[1]
    torch.set_num_threads(1)
    agreed = settings.read(folder)
    strategy = Averaging(task_of(agreed), agreed, division.read(folder))
    start_server(
        server_address=address,
        server=_server(agreed, strategy),
        config=ServerConfig(num_rounds=strategy.rounds, round_timeout=_ANSWER_SECONDS),
    )
    _leave(strategy, folder)


def _server(agreed: Settings, strategy: Averaging) -> Server:
    if not agreed.masked:
        return Server(client_manager=SimpleClientManager(), strategy=strategy)
    from training.federated.masked import MaskedRounds

    return MaskedRounds(parties=len(agreed.parties), client_manager=SimpleClientManager(), strategy=strategy)


def _leave(strategy: Averaging, folder: Path) -> None:
    assert strategy.scaling is not None  # noqa: S101 - the first round made it.
    np.savez(folder / RESULT, strategy.scaling.mean, strategy.scaling.spread, *strategy.arrays)
    report: Mapping[str, Any] = {
        "losses": strategy.losses,
        "rows": strategy.rows,
        "epsilon": strategy.epsilon,
    }
    (folder / REPORT).write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    process.run(main)
