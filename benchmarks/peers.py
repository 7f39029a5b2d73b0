"""One fit by other libraries: run by beside.py with the interpreter of any environment, and needing nothing of this repository.

Arguments are the number of epochs, the network, and the peers to try. Standard input has a line with the name of a file of rows
(x and y of training, x and y of validation), then the names of peers, a line each. Standard output answers with the peers that
can be imported and their versions, then with seconds. All are trained once, on a few rows, before they are timed for the first time.
"""

import importlib
import importlib.metadata
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import torch
from torch import nn
from torch.nn import functional

MODULES = {"loop": "torch", "dataloader": "torch", "sklearn": "sklearn", "skorch": "skorch", "lightning": "lightning", "keras": "keras"}
PACKAGES = {"sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Network:
    """What is trained: `build` makes it for torch, `layers` lists it for Keras; `hidden` are an MLP's hidden units.

    `is_measured`: figures are taken after every epoch; otherwise a fit is training alone.
    """

    build: Callable[[], nn.Sequential]
    layers: Callable[[Any], list[Any]]
    shape: tuple[int, ...]
    batch: int
    is_measured: bool
    hidden: tuple[int, ...] = ()


def mlp(*widths: int, batch: int, is_measured: bool) -> Network:
    """Make a network of dense layers with ReLU between them."""

    def layers() -> Iterator[nn.Module]:
        for i, width in enumerate(widths[1:]):
            if i > 0:
                yield nn.ReLU()
            yield nn.Linear(widths[i], width)

    def listed(keras: Any) -> list[Any]:
        hidden = [keras.Dense(width, activation="relu") for width in widths[1:-1]]
        return [keras.Input(widths[:1]), *hidden, keras.Dense(widths[-1])]

    return Network(lambda: nn.Sequential(*layers()), listed, widths[:1], batch, is_measured, widths[1:-1])


def _cnn() -> nn.Sequential:
    first = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def _cnn_of_keras(keras: Any) -> list[Any]:
    blocks = [[keras.Conv2D(n, 3, padding="same"), keras.BatchNormalization(), keras.ReLU(), keras.MaxPooling2D(2)] for n in (16, 32)]
    return [keras.Input((28, 28, 1)), *blocks[0], *blocks[1], keras.Flatten(), keras.Dense(10)]


NETWORKS = {
    "digits": mlp(64, 128, 64, 10, batch=32, is_measured=True),
    "fashion_mlp": mlp(784, 256, 128, 10, batch=128, is_measured=False),
    "fashion_cnn": Network(_cnn, _cnn_of_keras, (1, 28, 28), 128, is_measured=False),
}


class Job:
    """One fit of so many epochs on rows."""

    def __init__(self, network: Network, rows: list[np.ndarray], epochs: int) -> None:
        """Take rows."""
        x, y, val_x, val_y = rows
        self.network, self.batch, self.epochs = network, network.batch, epochs
        self.x, self.val_x = (torch.tensor(part, dtype=torch.float32).view(-1, *network.shape) for part in (x, val_x))
        self.y, self.val_y = (torch.tensor(part) for part in (y, val_y))

    def _measure(self, network: nn.Module) -> None:
        """Measure loss and accuracy of all rows in evaluation mode, where figures are asked for."""
        if not self.network.is_measured:
            return
        network.eval()
        with torch.no_grad():
            for x, y in ((self.x, self.y), (self.val_x, self.val_y)):
                out = network(x)
                functional.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()
        network.train()

    def loop(self) -> None:
        """Train with rows in one tensor, a permutation an epoch and a fused optimizer."""
        network = self.network.build()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3, fused=True)
        self._measure(network)
        for _ in range(self.epochs):
            order = torch.randperm(len(self.x))
            for at in order.split(self.batch):
                optimizer.zero_grad(set_to_none=True)
                functional.cross_entropy(network(self.x[at]), self.y[at]).backward()
                optimizer.step()
            self._measure(network)

    def dataloader(self) -> None:
        """Train as tutorials do."""
        network = self.network.build()
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(self.x, self.y), batch_size=self.batch, shuffle=True)
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
            self.network.hidden, alpha=0.0, batch_size=self.batch, max_iter=self.epochs, tol=0.0, n_iter_no_change=10**9
        )
        classifier.fit(self.x.numpy(), self.y.numpy())

    def skorch(self) -> None:
        """Train by skorch."""
        skorch = importlib.import_module("skorch")
        held_out = importlib.import_module("skorch.dataset").Dataset(self.val_x, self.val_y)
        split = importlib.import_module("skorch.helper").predefined_split(held_out) if self.network.is_measured else None
        skorch.NeuralNetClassifier(
            self.network.build, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-3, max_epochs=self.epochs,
            batch_size=self.batch, iterator_train__shuffle=True, train_split=split, verbose=0,
        ).fit(self.x, self.y)  # fmt: skip

    def lightning(self) -> None:
        """Train by Lightning."""
        lightning = importlib.import_module("lightning")
        build = self.network.build

        class Module(lightning.LightningModule):
            """The network as a module of Lightning."""

            def __init__(self) -> None:
                super().__init__()
                self.network = build()

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
            torch.utils.data.DataLoader(pairs(self.x, self.y), batch_size=self.batch, shuffle=True),
            torch.utils.data.DataLoader(pairs(self.val_x, self.val_y), batch_size=256) if self.network.is_measured else None,
        )

    def keras(self) -> None:
        """Train by Keras."""
        keras = importlib.import_module("keras")
        network = keras.Sequential(self.network.layers(keras.layers))
        network.compile(
            optimizer=keras.optimizers.Adam(1e-3), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
        x, val_x = (part.movedim(1, -1).contiguous().numpy() for part in (self.x, self.val_x))
        held_out = (val_x, self.val_y.numpy()) if self.network.is_measured else None
        network.fit(x, self.y.numpy(), batch_size=self.batch, epochs=self.epochs, verbose=0, validation_data=held_out)


def known(asked: list[str]) -> dict[str, str]:
    """Give the peers of those asked for that can be imported, with their versions."""
    found = {}
    for name in asked:
        module = MODULES[name]
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
    epochs, network = int(sys.argv[1]), NETWORKS[sys.argv[2]]
    rows = list(np.load(json.loads(sys.stdin.readline())).values())
    job, warm = Job(network, rows, epochs), Job(network, [part[: 8 * network.batch] for part in rows], 1)
    found = known(sys.argv[3:])
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
