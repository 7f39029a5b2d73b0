"""One digits fit by other libraries: run by plans.py with the interpreter of any environment, and needing nothing of this repository.

Standard input has a line of rows (x and y of training, x and y of validation), then the names of peers, a line each. Standard
output answers with the peers that can be imported and their versions, then with seconds. All are trained once before they are
timed for the first time.
"""

import importlib
import importlib.metadata
import json
import logging
import os
import sys
import time
import warnings
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BATCH = 32
MODULES = {"loop": "torch", "dataloader": "torch", "sklearn": "sklearn", "skorch": "skorch", "lightning": "lightning", "keras": "keras"}
PACKAGES = {"sklearn": "scikit-learn"}


def mlp() -> nn.Sequential:
    """Build the network."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


class Job:
    """One fit of so many epochs on rows."""

    def __init__(self, rows: list[list[Any]], epochs: int) -> None:
        """Take rows as lists."""
        x, y, val_x, val_y = rows
        self.epochs = epochs
        self.x, self.val_x = (torch.tensor(part, dtype=torch.float32).flatten(1) for part in (x, val_x))
        self.y, self.val_y = (torch.tensor(part) for part in (y, val_y))

    def _measure(self, network: nn.Module) -> None:
        """Measure loss and accuracy of all rows in evaluation mode."""
        network.eval()
        with torch.no_grad():
            for x, y in ((self.x, self.y), (self.val_x, self.val_y)):
                out = network(x)
                functional.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()
        network.train()

    def loop(self) -> None:
        """Train with rows in one tensor, a permutation an epoch and a fused optimizer."""
        network = mlp()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
        self._measure(network)
        for _ in range(self.epochs):
            order = torch.randperm(len(self.x))
            for at in order.split(BATCH):
                optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(network(self.x[at]), self.y[at]).backward()
                optimizer.step()
            self._measure(network)

    def dataloader(self) -> None:
        """Train as tutorials do."""
        network = mlp()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(self.x, self.y), batch_size=BATCH, shuffle=True)
        self._measure(network)
        for _ in range(self.epochs):
            for x, y in loader:
                optimizer.zero_grad()
                functional.cross_entropy(network(x), y).backward()
                optimizer.step()
            self._measure(network)

    def sklearn(self) -> None:
        """Train scikit-learn's classifier."""
        classifier = importlib.import_module("sklearn.neural_network").MLPClassifier(
            (128, 64), alpha=0.0, batch_size=BATCH, max_iter=self.epochs, tol=0.0, n_iter_no_change=10**9
        )
        classifier.fit(self.x.numpy(), self.y.numpy())

    def skorch(self) -> None:
        """Train by skorch."""
        skorch = importlib.import_module("skorch")
        held_out = importlib.import_module("skorch.dataset").Dataset(self.val_x, self.val_y)
        split = importlib.import_module("skorch.helper").predefined_split(held_out)
        skorch.NeuralNetClassifier(
            mlp, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-3, max_epochs=self.epochs,
            batch_size=BATCH, iterator_train__shuffle=True, train_split=split, verbose=0,
        ).fit(self.x, self.y)  # fmt: skip

    def lightning(self) -> None:
        """Train by Lightning."""
        lightning = importlib.import_module("lightning")

        class Module(lightning.LightningModule):
            """The network as a module of Lightning."""

            def __init__(self) -> None:
                super().__init__()
                self.network = mlp()

            def training_step(self, batch: Any, _: int) -> Any:
                loss = functional.cross_entropy(self.network(batch[0]), batch[1])
                self.log("train_loss", loss, on_step=False, on_epoch=True)
                return loss

            def validation_step(self, batch: Any, _: int) -> None:
                out = self.network(batch[0])
                self.log("val_loss", functional.cross_entropy(out, batch[1]))
                self.log("val_accuracy", (out.argmax(1) == batch[1]).float().mean())

            def configure_optimizers(self) -> Any:
                return torch.optim.Adam(self.parameters(), 1e-3)

        trainer = lightning.Trainer(
            max_epochs=self.epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        )  # fmt: skip
        pairs = torch.utils.data.TensorDataset
        trainer.fit(
            Module(),
            torch.utils.data.DataLoader(pairs(self.x, self.y), batch_size=BATCH, shuffle=True),
            torch.utils.data.DataLoader(pairs(self.val_x, self.val_y), batch_size=256),
        )

    def keras(self) -> None:
        """Train by Keras."""
        keras = importlib.import_module("keras")
        layers = keras.layers
        network = keras.Sequential(
            [layers.Input((64,)), layers.Dense(128, activation="relu"), layers.Dense(64, activation="relu"), layers.Dense(10)]
        )
        network.compile(
            optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        held_out = (self.val_x.numpy(), self.val_y.numpy())
        network.fit(self.x.numpy(), self.y.numpy(), batch_size=BATCH, epochs=self.epochs, verbose=0, validation_data=held_out)


def known() -> dict[str, str]:
    """Give the peers that can be imported, with their versions."""
    found = {}
    for name, module in MODULES.items():
        try:
            importlib.import_module(module)
        except ImportError:
            continue
        found[name] = f"{PACKAGES.get(name, module)} {importlib.metadata.version(PACKAGES.get(name, module))}"
    return found


def main() -> None:
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # some libraries print
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    np.random.seed(0)  # noqa: NPY002  scikit-learn and skorch draw from it
    torch.manual_seed(0)
    rows = json.loads(sys.stdin.readline())
    job, warm = Job(rows, int(sys.argv[1])), Job(rows, 1)
    found = known()
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("lightning")]:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in found:
        getattr(warm, name)()
    print(json.dumps(found), file=answers, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        getattr(job, json.loads(line))()
        print(json.dumps(time.perf_counter() - began), file=answers, flush=True)


if __name__ == "__main__":
    main()
