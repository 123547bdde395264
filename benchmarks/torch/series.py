"""Rows of the speed comparison on encoders of series, for `cargo xtask perf --rows series`.

usage: series.py temporal|transformer THREADS REPEATS --batch N --channels N --steps N [--lengths]

Prints one JSON line: {"seconds": median of REPEATS after one warm-up, "peak_memory_bytes": of this process, "parameters": of the network}.
Inputs and weights are random: they do not matter for the time.
"""

import argparse, json, resource
import torch, torch.nn as nn, torch.nn.functional as F
from images import median_seconds, use_device

CLASSES = 7


class MaskedNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics are those of the filled steps, without a loop over samples."""

    def forward(self, x, mask=None):
        if mask is None:
            return super().forward(x)
        share = 1 / mask.sum()
        mean = (x * mask).sum((0, 2), keepdim=True) * share
        centred = (x - mean) * mask
        variance = (centred * centred).sum((0, 2), keepdim=True) * share
        with torch.no_grad():
            self.running_mean.lerp_(mean.flatten(), self.momentum)
            self.running_var.lerp_(variance.flatten(), self.momentum)
        return centred * torch.rsqrt(variance + self.eps) * self.weight[:, None] + self.bias[:, None]


class Unit(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = MaskedNorm(outputs)

    def forward(self, x, mask):
        return self.norm(self.conv(x), mask)


class Block(nn.Module):
    def __init__(self, inputs, width, kernel=5, stride=2):
        super().__init__()
        self.first, self.last, self.shortcut = Unit(inputs, width, kernel, stride), Unit(width, width, kernel, 1), Unit(inputs, width, 1, stride)

    def forward(self, x, mask):
        close = lambda x: F.relu(x) if mask is None else F.relu(x) * mask
        return close(self.last(close(self.first(x, mask)), mask) + self.shortcut(x, mask))


class Temporal(nn.Module):
    """The encoder `temporal` with its defaults."""

    def __init__(self, channels, steps):
        super().__init__()
        widths = [channels, 32, 64, 128]
        self.blocks = nn.ModuleList(Block(a, b) for a, b in zip(widths, widths[1:]))
        self.head = nn.Linear(widths[-1], CLASSES)

    def forward(self, x, lengths):
        steps = torch.arange(x.shape[2])
        if lengths is None:
            for block in self.blocks:
                x = block(x, None)
            return self.head(x.mean(2))
        x = x * (steps < lengths[:, None]).float()[:, None]
        for block in self.blocks:
            lengths = (lengths + 1) // 2
            mask = (steps[: (x.shape[2] + 1) // 2] < lengths[:, None]).float()[:, None]
            x = block(x, mask)
        return self.head(x.sum(2) / lengths[:, None])


class Transformer(nn.Module):
    """The encoder `transformer` with its defaults, of series that are whole."""

    def __init__(self, channels, steps, patch=5, width=64, layers=2, heads=4):
        super().__init__()
        self.patch = patch
        self.embedding = nn.Linear(channels * patch, width)
        self.positions = nn.Parameter(torch.randn(-(-steps // patch), width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, F.gelu, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x, lengths):
        patches = x.unfold(2, self.patch, self.patch).transpose(1, 2).flatten(2)
        return self.head(self.layers(self.embedding(patches) + self.positions).mean(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", choices=["temporal", "transformer"])
    parser.add_argument("threads", type=int)
    parser.add_argument("repeats", type=int)
    for name in ("--batch", "--channels", "--steps"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lengths", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    use_device(a.device)
    network = (Temporal if a.encoder == "temporal" else Transformer)(a.channels, a.steps).train()
    x, labels = torch.randn(a.batch, a.channels, a.steps), torch.arange(a.batch) % CLASSES
    lengths = a.steps - torch.arange(a.batch) * a.steps // (2 * a.batch) if a.lengths else None
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def run():
        loss = F.cross_entropy(network(x, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    seconds = median_seconds(run, a.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(seconds=seconds, peak_memory_bytes=peak, parameters=sum(p.numel() for p in network.parameters()))))


if __name__ == "__main__":
    main()
