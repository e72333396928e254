"""The program in PyTorch: tensors in memory, batches by index, which is faster than a DataLoader for data of this size."""

import os
import sys

import mnist
import torch

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
hidden, activation, rate, optimizer, learning_rate, batch, epochs = mnist.SETTINGS[sys.argv[1]]
x, y, x_test, y_test = map(torch.from_numpy, mnist.load())
layers, width = [], 784
for units in hidden:
    layers += [torch.nn.Linear(width, units), torch.nn.Sigmoid() if activation == "sigmoid" else torch.nn.ReLU()]
    if rate:
        layers.append(torch.nn.Dropout(rate))
    width = units
model = torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))
chosen = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)(model.parameters(), lr=learning_rate)
falling = torch.optim.lr_scheduler.CosineAnnealingLR(chosen, mnist.steps(len(x), batch, epochs), mnist.LAST * learning_rate) if rate else None
loss_of = torch.nn.CrossEntropyLoss()
for _ in range(epochs):
    order, total, right = torch.randperm(len(x)), 0.0, 0
    model.train()
    for at in range(0, len(x), batch):
        rows = order[at : at + batch]
        targets = y[rows]
        logits = model(x[rows])
        loss = loss_of(logits, targets)
        chosen.zero_grad()
        loss.backward()
        chosen.step()
        if falling:
            falling.step()
        total += loss.item() * len(rows)
        right += (logits.argmax(1) == targets).sum().item()
model.eval()
with torch.no_grad():
    print(float((model(x_test).argmax(1) == y_test).float().mean()))
