"""Rows of the speed comparison on networks for every pixel, for `cargo xtask perf --rows dense`.

usage: dense.py COMMAND THREADS REPEATS --network unet|esanet --batch N --size HEIGHT WIDTH [--channels N...] [--dropout]

Prints one JSON line: {"seconds": median of REPEATS after one warm-up, "peak_memory_bytes": of this process, "parameters": of the network}.
Inputs and weights are random: they do not matter for the time.
"""

import argparse, itertools, json, resource
import torch, torch.nn.functional as F
from dense_networks import EsaNet, UNet
from images import inference, median_seconds, use_device


def train_step(a, network, x, masks):
    """Forward, cross entropy with void at every scale, backward, SGD; all sensors, or with --dropout a random combination a sample."""
    network.train()
    labels = torch.randint(-1, a.classes, (a.batch, *a.size))
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def run():
        mask = masks[torch.randint(len(masks), (a.batch,))] if a.dropout else masks[-1].expand(a.batch, -1)
        loss = 0
        for prediction in network(x, mask):
            step = next(step for step in (1, 8, 16, 32) if -(-a.size[0] // step) == prediction.shape[2])
            loss = loss + F.cross_entropy(prediction, labels[:, ::step, ::step], ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def predict(a, network, x, masks):
    """All sensors, one pass."""
    network.eval()
    return inference(lambda: network(x, masks[-1].expand(a.batch, -1)))


def evaluate(a, network, x, masks):
    """All combinations: the U-Net runs each encoder once, as ours; the other network, whose sensors meet on the way, a pass each."""
    network.eval()
    each = lambda: [network(x, mask.expand(a.batch, -1)) for mask in masks]

    def shared():
        maps = network.encode(x)
        return [network.fuse(maps, mask.expand(a.batch, -1)) for mask in masks]

    return inference(shared if a.network == "unet" else each)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {command.__name__: command for command in (train_step, predict, evaluate)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("threads", type=int)
    parser.add_argument("repeats", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--network", choices=["unet", "esanet"], required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--size", type=int, nargs=2, required=True)
    parser.add_argument("--channels", type=int, nargs="+", required=True)
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--dropout", action="store_true")
    parser.add_argument("--channels-last", action="store_true", help="PyTorch's other memory layout")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    use_device(a.device)
    network = UNet(a.channels, a.classes, [16, 32, 64, 128]) if a.network == "unet" else EsaNet(a.channels, a.classes)
    layout = torch.channels_last if a.channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    x = [torch.randn(a.batch, c, *a.size).to(memory_format=layout) for c in a.channels]
    masks = torch.tensor([mask for mask in itertools.product([0.0, 1.0], repeat=len(a.channels)) if any(mask)])
    seconds = median_seconds(commands[a.command](a, network, x, masks), a.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(seconds=seconds, peak_memory_bytes=peak, parameters=sum(p.numel() for p in network.parameters()))))


if __name__ == "__main__":
    main()
