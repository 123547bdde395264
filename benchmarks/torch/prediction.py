"""One audio-visual sample from its files to the probabilities of the classes, as `cargo xtask perf --rows prediction` compares it.

usage: prediction.py COMMAND THREADS REPEATS FOLDER [--sound FILE]

`FOLDER` holds a model of ours (config.json, model.safetensors), `sample.wav` and `sample.png`. Commands:

    flac      writes sample.flac from sample.wav
    torch     PyTorch: soundfile, torch.stft and mel triangles, Pillow, the network
    network   the network alone, in PyTorch
    onnx      the same front end (numpy's FFT), the network in ONNX Runtime
    onnx-network    the network alone, in ONNX Runtime

All but `flac` print one JSON line: {"seconds": median of REPEATS runs after some that do not count, "peak_memory_bytes": of this process,
"probabilities": [..]}.
"""

import argparse, json, os, resource, statistics, time
import numpy as np
import soundfile
from PIL import Image
from safetensors.numpy import load_file

WARM_UP = 10
START, LENGTH = 3000, 6000  # the sound of the sample, within the file


def mel_triangles(rate, n_fft, mels):
    """torchaudio.functional.melscale_fbanks(mel_scale="htk", norm=None), by its formula: [bins, mels]."""
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    top = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    slopes = corners[None, :] - bins[:, None]
    widths = np.diff(corners)
    return np.maximum(0, np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:])).astype(np.float32)


class Sample:
    """The files, and what the model's configuration says of reading them."""

    def __init__(self, folder, sound):
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        self.weights = load_file(os.path.join(folder, "model.safetensors"))
        self.sound, self.image = os.path.join(folder, sound), os.path.join(folder, "sample.png")
        audio = config["kinds"][0]["settings"]
        self.rate, self.n_fft, self.hop, self.mels = audio["rate"], audio["n_fft"], audio["hop"], audio["mels"]
        self.samples = round(audio["rate"] * audio["seconds"])
        views = config["standardizer"]["views"]
        self.statistics = [(np.float32(view["mean"][0]), np.float32(view["std"][0])) for view in views]
        self.triangles = mel_triangles(self.rate, self.n_fft, self.mels)
        self.window = np.hanning(self.n_fft + 1)[:-1].astype(np.float32)

    def wave(self):
        wave, _ = soundfile.read(self.sound, frames=LENGTH, start=START, dtype="float32")
        return np.pad(wave, (0, self.samples - len(wave)))

    def pixels(self):
        return np.asarray(Image.open(self.image).convert("L"), dtype=np.float32)[None, None] / 255

    def filled(self):
        return 1 + LENGTH // self.hop

    def blocks(self):
        """(weight of the convolution or the layer, weight, bias, mean and variance of the norm) by place."""
        w = self.weights

        def block(layer, norm):
            return [w[layer + ".weight"]] + [w[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")]

        def places(prefix, inner):
            count = len({name[len(prefix) :].split(".")[0] for name in w if name.startswith(prefix)})
            return [block(f"{prefix}{i}.{inner}", f"{prefix}{i}.norm") for i in range(count)]

        encoders = [places(f"encoders.{name}.", "conv") for name in ("sound", "image")]
        return encoders, places("trunk.", "linear"), w["head.weight"], w["head.bias"]


def in_torch(sample, threads):
    import torch, torch.nn as nn

    torch.set_num_threads(threads)
    (sound, image), trunk, weight, bias = sample.blocks()

    def layer(block, kind):
        kernel, gamma, beta, mean, variance = [torch.from_numpy(x) for x in block]
        if kind == "conv":
            module, norm = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, bias=False), nn.BatchNorm2d(kernel.shape[0])
        else:
            module, norm = nn.Linear(kernel.shape[1], kernel.shape[0], bias=False), nn.BatchNorm1d(kernel.shape[0])
        module.weight.data = kernel
        norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = gamma, beta, mean, variance
        return nn.Sequential(module, norm, nn.ReLU())

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.sound = nn.Sequential(*[layer(block, "conv") for block in sound])
            self.image = nn.Sequential(*[layer(block, "conv") for block in image])
            self.trunk = nn.Sequential(*[layer(block, "linear") for block in trunk])
            self.head = nn.Linear(weight.shape[1], weight.shape[0])
            self.head.weight.data, self.head.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)

        def forward(self, sound, image):
            pooled = torch.cat([self.sound(sound).mean((2, 3)), self.image(image).mean((2, 3))], 1)
            return self.head(self.trunk(pooled))

    network = Network().eval()
    triangles, window = torch.from_numpy(sample.triangles), torch.from_numpy(sample.window)
    (sound_mean, sound_std), (image_mean, image_std) = sample.statistics

    def predict():
        with torch.inference_mode():
            wave = torch.from_numpy(sample.wave())
            spectrum = torch.stft(wave, sample.n_fft, sample.hop, window=window, center=True, return_complex=True)
            mel = torch.log(spectrum.abs().square().T @ triangles + 1e-6).T
            mel = (mel - sound_mean) / sound_std
            mel[:, sample.filled() :] = 0
            image = (torch.from_numpy(sample.pixels()) - image_mean) / image_std
            return network(mel[None, None], image).softmax(1)[0].numpy()

    def network_alone():
        shape = (1, 1, sample.mels, 1 + sample.samples // sample.hop)
        inputs = torch.randn(shape), torch.randn(1, 1, 28, 28)

        def run():
            with torch.inference_mode():
                return network(*inputs).softmax(1)[0].numpy()

        return run

    return predict, network_alone


def in_onnx(sample, threads):
    import onnx, onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    (sound, image), trunk, weight, bias = sample.blocks()
    nodes, constants, count = [], [], iter(range(10_000))

    def constant(array):
        name = f"w{next(count)}"
        constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype=array.dtype), name))
        return name

    def node(kind, inputs, **attributes):
        name = f"x{next(count)}"
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def folded(block):
        kernel, gamma, beta, mean, variance = block
        scale = gamma / np.sqrt(variance + 1e-5)
        return (kernel * scale.reshape(-1, *[1] * (kernel.ndim - 1))).astype(np.float32), (beta - mean * scale).astype(np.float32)

    def encoder(x, blocks):
        for block in blocks:
            kernel, shift = folded(block)
            x = node("Relu", [node("Conv", [x, constant(kernel), constant(shift)], pads=[1, 1, 1, 1], kernel_shape=[3, 3])])
        return node("Flatten", [node("GlobalAveragePool", [x])])

    x = node("Concat", [encoder("sound", sound), encoder("image", image)], axis=1)
    for block in trunk:
        kernel, shift = folded(block)
        x = node("Relu", [node("Gemm", [x, constant(kernel), constant(shift)], transB=1)])
    x = node("Softmax", [node("Gemm", [x, constant(weight), constant(bias)], transB=1)], axis=1)
    frames = 1 + sample.samples // sample.hop
    inputs = [
        helper.make_tensor_value_info("sound", TensorProto.FLOAT, [1, 1, sample.mels, frames]),
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 28, 28]),
    ]
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, weight.shape[0]])
    graph = helper.make_graph(nodes, "network", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (sound_mean, sound_std), (image_mean, image_std) = sample.statistics
    half = sample.n_fft // 2

    def predict():
        wave = np.pad(sample.wave(), half, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(wave, sample.n_fft)[:: sample.hop] * sample.window
        spectrum = np.fft.rfft(frames)
        mel = np.log((spectrum.real**2 + spectrum.imag**2) @ sample.triangles + np.float32(1e-6)).T.astype(np.float32)
        mel = (mel - sound_mean) / sound_std
        mel[:, sample.filled() :] = 0
        image = (sample.pixels() - image_mean) / image_std
        return session.run(None, {"sound": np.ascontiguousarray(mel)[None, None], "image": image})[0][0]

    def network_alone():
        random = np.random.default_rng(0)
        fed = {value.name: random.standard_normal([d.dim_value for d in value.type.tensor_type.shape.dim]).astype(np.float32) for value in inputs}
        return lambda: session.run(None, fed)[0][0]

    return predict, network_alone


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["flac", "torch", "network", "onnx", "onnx-network"])
    parser.add_argument("threads", type=int)
    parser.add_argument("repeats", type=int)
    parser.add_argument("folder")
    parser.add_argument("--sound", default="sample.wav")
    a = parser.parse_args()
    if a.command == "flac":
        wave, rate = soundfile.read(os.path.join(a.folder, "sample.wav"), dtype="int16")
        soundfile.write(os.path.join(a.folder, "sample.flac"), wave, rate, subtype="PCM_16")
        print("{}")
        return
    sample = Sample(a.folder, a.sound)
    predict, network_alone = (in_onnx if a.command.startswith("onnx") else in_torch)(sample, a.threads)
    run = network_alone() if a.command.endswith("network") else predict
    seconds = []
    for _ in range(WARM_UP + a.repeats):
        started = time.perf_counter()
        probabilities = run()
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"seconds": statistics.median(seconds[WARM_UP:]), "peak_memory_bytes": peak}
    print(json.dumps(result | {"probabilities": [float(p) for p in probabilities]}))


if __name__ == "__main__":
    main()
