"""The yardstick of latency.py: one epoch of the digits MLP as a bare script, from starting Python to the last figure."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
digits = load_digits()
parts = train_test_split(digits.data / 16, digits.target, test_size=0.3, stratify=digits.target, random_state=0)
train_x, val_x, train_y, val_y = (torch.as_tensor(part) for part in parts)
mean, deviation = train_x.mean(), train_x.std()
train_x, val_x = ((x - mean).div(deviation).float() for x in (train_x, val_x))
network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(network.parameters())
loss = nn.CrossEntropyLoss()
for rows in torch.randperm(len(train_x)).split(32):
    optimizer.zero_grad()
    loss(network(train_x[rows]), train_y[rows]).backward()
    optimizer.step()
with torch.no_grad():
    print(loss(network(train_x), train_y).item(), loss(network(val_x), val_y).item())
