"""The main job in PyTorch, for `cargo xtask perf`: same network, budget and masks as ours, the usual training loop.

usage: six_views.py DATASET_DIR THREADS METHOD EPOCHS   prints one JSON line
"""

import json, resource, sys, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F

VIEWS = ["fac", "fou", "kar", "mor", "pix", "zer"]


class Encoder(nn.Sequential):
    def __init__(self, inputs):
        layers = lambda a, b: [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU()]
        super().__init__(*layers(inputs, 128), *layers(128, 64))


class Network(nn.Module):
    def __init__(self, widths, classes=10):
        super().__init__()
        layers = lambda a, b: [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU()]
        self.encoders = nn.ModuleList(Encoder(w) for w in widths)
        self.trunk = nn.Sequential(*layers(64 * len(widths), 256), *layers(256, 128))
        self.head = nn.Linear(128, classes)

    def forward(self, inputs, mask):
        features = [e(x) * mask[:, i : i + 1] for i, (e, x) in enumerate(zip(self.encoders, inputs))]
        feature = self.trunk(torch.cat(features, 1))
        return self.head(feature), feature


def combinations(count):
    return torch.tensor([[(c >> m) & 1 for m in range(count)] for c in range(1, 2**count)], dtype=torch.float32)


def margin_aware_distillation(student, teacher, logits):
    gs, gt = (F.normalize(f @ f.t(), dim=1) for f in (student, teacher))
    p = logits.softmax(1)
    h = -(p * p.clamp_min(1e-12).log()).sum(1)
    return ((h / h.sum())[:, None] * (gs - gt) ** 2).sum()


def train(method, inputs, labels, epochs, teacher=None, batch=64):
    model = Network([x.shape[1] for x in inputs])
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    subsets = combinations(len(inputs))
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(labels))
        for start in range(0, len(labels) - batch + 1, batch):
            rows = order[start : start + batch]
            x, y = [v[rows] for v in inputs], labels[rows]
            mask = torch.ones(batch, len(inputs)) if method == "full-only" else subsets[torch.randint(len(subsets), (batch,))]
            logits, feature = model(x, mask)
            loss = F.cross_entropy(logits, y)
            if method == "mmanet" and epoch >= 5:
                with torch.no_grad():
                    teacher_logits, teacher_feature = teacher(x, torch.ones(batch, len(inputs)))
                loss = loss + 10 * margin_aware_distillation(feature, teacher_feature, teacher_logits)
                weak = subsets[torch.randint(16, (batch,))]  # which ones does not matter for the time
                loss = loss + F.cross_entropy(model(x, weak)[0], y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return model.eval()


def evaluate(model, inputs, labels):
    with torch.no_grad():
        masks = combinations(len(inputs))
        return [(model(inputs, m.expand(len(labels), -1))[0].argmax(1) == labels).float().mean().item() for m in masks]


def main():
    folder, threads, method, epochs = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    tables = [np.loadtxt(f"{folder}/mfeat-{v}.csv.gz", delimiter=",", skiprows=1, dtype=np.float32) for v in VIEWS]
    y = tables[0][:, -1].astype(np.int64)
    shuffle = np.random.default_rng(0)
    rows = [shuffle.permutation(np.where(y == c)[0]) for c in range(10)]
    train_rows, test_rows = np.concatenate([r[:140] for r in rows]), np.concatenate([r[160:] for r in rows])
    x = [t[:, :-1] for t in tables]
    x = [(v - v[train_rows].mean(0)) / (v[train_rows].std(0) + 1e-6) for v in x]
    pick = lambda r: ([torch.tensor(v[r]) for v in x], torch.tensor(y[r]))
    teacher = train("full-only", *pick(train_rows), epochs) if method == "mmanet" else None
    started = time.perf_counter()
    model = train(method, *pick(train_rows), epochs, teacher)
    trained = time.perf_counter()
    accuracies = evaluate(model, *pick(test_rows))
    evaluated = time.perf_counter()
    print(json.dumps(dict(train_seconds=trained - started, evaluation_seconds=evaluated - trained, mean_accuracy=float(np.mean(accuracies)),
                          peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)))


main()
