"""Image rows of the speed comparison in PyTorch: convolutions, ResNet-18, the three-sensor networks.

usage: images.py COMMAND THREADS REPEATS [options]; `images.py -h` lists commands, `images.py COMMAND -h` their options.

Every command prints one JSON line: {"seconds": median of REPEATS after one warm-up, "peak_memory_bytes": of this process, ...}.
Inputs and weights are random: they do not matter for the time.
"""

import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time
import torch, torch.nn as nn

# Channels in and out, input height, kernel, stride: the convolutions of ResNet-18 at 224.
LAYERS = {
    "stem": (3, 64, 224, 7, 2),
    "64@56": (64, 64, 56, 3, 1), "128@28": (128, 128, 28, 3, 1), "256@14": (256, 256, 14, 3, 1), "512@7": (512, 512, 7, 3, 1),
    "64-128/2": (64, 128, 56, 3, 2), "128-256/2": (128, 256, 28, 3, 2), "256-512/2": (256, 512, 14, 3, 2),
    "64-128/2-1x1": (64, 128, 56, 1, 2), "128-256/2-1x1": (128, 256, 28, 1, 2), "256-512/2-1x1": (256, 512, 14, 1, 2),
}


def use_device(name):
    """Everything that follows is made and computed there; single precision, as ours, and not a GPU's shorter TF32."""
    if name != "cpu":
        torch.set_default_device(name)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def median_seconds(run, repeats):
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        run()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def inference(run):
    def without_graph():
        with torch.inference_mode():
            run()

    return without_graph


def images(a, batch, sensors=1, size=None):
    layout = torch.channels_last if a.channels_last else torch.contiguous_format
    return [torch.randn(batch, 3, size or a.size, size or a.size).to(memory_format=layout) for _ in range(sensors)]


def placed(a, module):
    return module.to(memory_format=torch.channels_last if a.channels_last else torch.contiguous_format)


def conv(a):
    """One convolution of ResNet-18: forward, or backward (to weight and input; of the stem, to the weight)."""
    inputs, outputs, size, kernel, stride = LAYERS[a.layer]
    layer = placed(a, nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False))
    x = torch.randn(a.batch, inputs, size, size)
    if a.channels_last:
        x = x.to(memory_format=torch.channels_last)
    if a.direction == "forward":
        return dict(seconds=median_seconds(inference(lambda: layer(x)), a.repeats))
    y = layer(x.requires_grad_(a.layer != "stem"))
    wanted, gradient = [layer.weight] if a.layer == "stem" else [layer.weight, x], torch.randn_like(y)
    return dict(seconds=median_seconds(lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True), a.repeats))


def resnet18(a):
    """Prediction of torchvision's ResNet-18."""
    from torchvision.models import resnet18

    model, (x,) = placed(a, resnet18().eval()), images(a, a.batch, size=224 if a.size is None else a.size)
    return dict(seconds=median_seconds(inference(lambda: model(x)), a.repeats))


def step(a, method, batch, size, sensors):
    """A training step, ready to be called (random masks, forward, loss, backward, SGD), and the tensors it needs to start."""
    from surf_networks import Dmrnet, Surf, combinations, dmrnet_loss, mmanet_loss, weak_combinations

    x, y = images(a, batch, sensors, size), torch.randint(2, (batch,))
    masks, weak = combinations(sensors), weak_combinations(sensors)
    network = placed(a, Dmrnet(sensors) if method == "dmrnet" else Surf(sensors, regularization=True)).train()
    teacher = placed(a, Surf(sensors)).eval().requires_grad_(False)
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True)

    def run():
        mask = masks[torch.randint(len(masks), (batch,))]
        loss = dmrnet_loss(network, x, y, mask, weak) if method == "dmrnet" else mmanet_loss(network, teacher, x, y, mask, weak)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run, [*x, *network.parameters()]


def saved_bytes(run, anyway):
    """Bytes of the storages that autograd saves for the backward pass, without those of the tensors `anyway`."""
    storages = {}

    def save(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        run()
    return sum(storages.values()) - sum(storages.get(t.untyped_storage().data_ptr(), 0) for t in anyway)


def train_step(a):
    """A training step of MMANet (frozen teacher, regularization branch, MAD, MAR) or of DMRNet."""
    run, anyway = step(a, a.method, a.batch, a.size or 112, a.sensors)
    return dict(seconds=median_seconds(run, a.repeats), activation_bytes=saved_bytes(run, anyway))


def evaluate(a):
    """All combinations of MMANet's network: a forward pass each (`reference`), or one run of the encoders for all (`shared`)."""
    from surf_networks import Surf, combinations

    network, x, masks = placed(a, Surf(a.sensors)).eval(), images(a, a.batch, a.sensors, a.size or 112), combinations(a.sensors)
    reference = lambda: [network(x, mask.expand(a.batch, -1))[0] for mask in masks]
    shared = lambda: network.each_combination(x, masks)
    with torch.inference_mode():
        largest = max((p - q).abs().max().item() for p, q in zip(reference(), shared()))
    return dict(seconds=median_seconds(inference(reference if a.way == "reference" else shared), a.repeats), largest_difference=largest)


def single(a):
    """One sample with one sensor alive: the whole network on zeros for the others, as the reference does."""
    from surf_networks import Surf

    network, mask = placed(a, Surf(a.sensors)).eval(), torch.zeros(1, a.sensors)
    x = images(a, 1, a.sensors, a.size or 112)
    x[1:], mask[0, 0] = [torch.zeros_like(v) for v in x[1:]], 1
    return dict(seconds=median_seconds(inference(lambda: network(x, mask)), a.repeats))


def cold_start(a):
    """From the start of a process to the prediction of ResNet-18 for one sample, weights from a .pth or .safetensors file."""
    from torchvision.models import resnet18

    with tempfile.TemporaryDirectory() as folder:
        path = a.weights or os.path.join(folder, f"resnet18.{a.format}")
        if not a.weights and a.format == "pth":
            torch.save(resnet18().state_dict(), path)
        elif not a.weights:
            from safetensors.torch import save_file
            save_file(resnet18().state_dict(), path)
        child = [sys.executable, "-B", __file__, "predict_once", str(a.threads), "1", "--weights", path, "--device", a.device]
        seconds = median_seconds(lambda: subprocess.run(child, check=True, stdout=subprocess.DEVNULL), a.repeats)
    return dict(seconds=seconds, peak_memory_bytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def predict_once(a):
    """What `cold_start` starts."""
    from torchvision.models import resnet18

    model = resnet18()
    if a.weights.endswith(".pth"):
        model.load_state_dict(torch.load(a.weights, weights_only=True))
    else:
        from safetensors.torch import load_file
        model.load_state_dict(load_file(a.weights))
    with torch.inference_mode():
        return dict(logits=model.eval()(torch.zeros(1, 3, 224, 224))[0, :3].tolist())


def scaling(a):
    """MMANet's training step against batch, image size, number of sensors and threads, one at a time."""
    points = dict(batch=[4, 8, 16, 32], size=[56, 112, 168], sensors=[1, 2, 4, 8], threads=[1, 2])[a.over]
    measured = []
    for value in points:
        torch.set_num_threads(value if a.over == "threads" else a.threads)
        at = dict(batch=a.batch, size=a.size or 112, sensors=a.sensors) | ({a.over: value} if a.over != "threads" else {})
        measured.append({a.over: value, "seconds": median_seconds(step(a, a.method, **at)[0], a.repeats)})
    return dict(over=a.over, points=measured)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (conv, resnet18, train_step, evaluate, single, cold_start, predict_once, scaling):
        p = commands.add_parser(command.__name__, help=command.__doc__)
        p.set_defaults(command=command)
        p.add_argument("threads", type=int)
        p.add_argument("repeats", type=int)
        p.add_argument("--device", default="cpu")
        p.add_argument("--batch", type=int, default=1 if command is resnet18 else 16)
        p.add_argument("--size", type=int, help="height and width of images; 112, ResNet-18: 224")
        p.add_argument("--sensors", type=int, default=3)
        p.add_argument("--channels-last", action="store_true", help="PyTorch's other memory layout")
        p.add_argument("--method", choices=["mmanet", "dmrnet"], default="mmanet")
        p.add_argument("--layer", choices=LAYERS, default="64@56")
        p.add_argument("--direction", choices=["forward", "backward"], default="forward")
        p.add_argument("--way", choices=["reference", "shared"], default="reference")
        p.add_argument("--over", choices=["batch", "size", "sensors", "threads"], default="batch")
        p.add_argument("--weights", help="a file of ResNet-18's weights, .pth or .safetensors")
        p.add_argument("--format", choices=["pth", "safetensors"], default="safetensors", help="of the file that is made without --weights")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    use_device(a.device)
    values = a.command(a)
    print(json.dumps(dict(peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024) | values))


if __name__ == "__main__":
    main()
