"""A server of one of our models in Python, as `cargo xtask serve-load` compares it: FastAPI, uvicorn and PyTorch, the same network and weights.

usage: serve.py KIND THREADS PORT FOLDER

`FOLDER` holds a model of ours (config.json, model.safetensors). `KIND` is `vector` (JSON: a list of numbers a sensor) or `audio-visual`
(multipart: `sound`, a WAV file, and `image`, a PNG file). It answers POST /predict with class and probabilities, one request at a time, as such
servers are usually written; GET /health says that it is up.
"""

import argparse, io, json, os
import numpy as np
import soundfile
import torch, torch.nn as nn
import uvicorn
from fastapi import FastAPI, Request, UploadFile
from PIL import Image
from safetensors.torch import load_file

import prediction


class Uploaded(prediction.Sample):
    """A sample whose files came with a request."""

    def wave(self):
        wave, _ = soundfile.read(io.BytesIO(self.sound), dtype="float32")
        self.length = len(wave)
        return np.pad(wave, (0, self.samples - len(wave)))

    def pixels(self):
        return np.asarray(Image.open(io.BytesIO(self.image)).convert("L"), dtype=np.float32)[None, None] / 255

    def filled(self):
        return 1 + self.length // self.hop


class Vectors(nn.Module):
    """An MLP a sensor, an MLP behind their features, a linear head."""

    def __init__(self, names, weights):
        super().__init__()
        self.encoders = nn.ModuleList(self.mlp(f"encoders.{name}.", weights) for name in names)
        self.trunk = self.mlp("trunk.", weights)
        self.head = nn.Linear(weights["head.weight"].shape[1], weights["head.weight"].shape[0])
        self.head.weight.data, self.head.bias.data = weights["head.weight"], weights["head.bias"]

    @staticmethod
    def mlp(prefix, weights):
        layers = []
        while f"{prefix}{len(layers) // 3}.linear.weight" in weights:
            place = f"{prefix}{len(layers) // 3}."
            kernel = weights[place + "linear.weight"]
            linear, norm = nn.Linear(kernel.shape[1], kernel.shape[0], bias=False), nn.BatchNorm1d(kernel.shape[0])
            linear.weight.data = kernel
            norm.load_state_dict({name: weights[f"{place}norm.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}, strict=False)
            layers += [linear, norm, nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, readings):
        features = [encoder(x) for encoder, x in zip(self.encoders, readings)]
        return self.head(self.trunk(torch.cat(features, 1)))


def vector_app(folder, config, answer):
    names = config["schema"]["modalities"]
    network = Vectors(names, load_file(os.path.join(folder, "model.safetensors"))).eval()
    views = config["standardizer"]["views"]
    statistics = [(torch.tensor(view["mean"], dtype=torch.float32), torch.tensor(view["std"], dtype=torch.float32)) for view in views]
    app = FastAPI()

    @app.post("/predict")
    async def predict(request: Request):
        given = await request.json()
        with torch.inference_mode():
            readings = [((torch.tensor([given[name]], dtype=torch.float32)) - mean) / std for name, (mean, std) in zip(names, statistics)]
            return answer(network(readings).softmax(1)[0].tolist(), names)

    return app


def audio_visual_app(folder, config, answer, threads):
    sample = Uploaded(folder, "")
    in_torch, _ = prediction.in_torch(sample, threads)
    app = FastAPI()

    @app.post("/predict")
    async def predict(sound: UploadFile, image: UploadFile):
        # Nothing else runs between here and the answer.
        sample.sound, sample.image = await sound.read(), await image.read()
        return answer(in_torch().tolist(), ["sound", "image"])

    return app


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["vector", "audio-visual"])
    parser.add_argument("threads", type=int)
    parser.add_argument("port", type=int)
    parser.add_argument("folder")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    with open(os.path.join(a.folder, "config.json")) as file:
        config = json.load(file)
    classes = config["schema"]["target"]["classes"]

    def answer(probabilities, used):
        best = max(range(len(classes)), key=probabilities.__getitem__)
        return {"class": classes[best], "probabilities": dict(zip(classes, probabilities)), "used": used, "ignored": {}}

    app = vector_app(a.folder, config, answer) if a.kind == "vector" else audio_visual_app(a.folder, config, answer, a.threads)

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    uvicorn.run(app, host="127.0.0.1", port=a.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
