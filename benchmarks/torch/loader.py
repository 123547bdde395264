"""Batches from files by PyTorch's DataLoader, as `cargo xtask perf --rows loader` compares them.

usage: loader.py COMMAND FOLDER [--workers 2]

Commands:

    jpeg      writes FOLDER/jpeg/rgb/*/*.jpg from FOLDER/png/rgb/*/*.png, as cameras do: quality 90, half as many colours (4:2:0)
    images    FOLDER/*/*: Pillow decodes, resizes to 112 x 112 (bilinear), numbers from 0 to 1; every file is read READS times an epoch
    clips     the parts of sound files that FOLDER/samples.csv lists: soundfile, padded to 1 s, log-mel with 40 bands
    augmented-clips    the same with random speed, shift, noise and gain

All but `jpeg` print one JSON line: {"per_second": of the median of EPOCHS epochs after one that does not count, with workers that stay
alive, "mean": of all values of an epoch}.
"""

import argparse, csv, glob, json, os, statistics, time
import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from prediction import mel_triangles

BATCH, EPOCHS = 32, 3
READS, SIZE = 8, 112
RATE, N_FFT, HOP, MELS = 8000, 256, 128, 40


class Images(Dataset):
    def __init__(self, folder):
        self.paths = sorted(glob.glob(os.path.join(folder, "*", "*")))
        self.count = READS * len(self.paths)

    def __len__(self):
        return self.count

    def __getitem__(self, i):
        image = Image.open(self.paths[i % len(self.paths)]).convert("RGB").resize((SIZE, SIZE), Image.BILINEAR)
        # What torchvision's to_tensor does.
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255), 0


class Clips(Dataset):
    def __init__(self, folder, augmented):
        self.augmented = augmented
        with open(os.path.join(folder, "samples.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        self.clips = [(os.path.join(folder, r["sound"]), int(r["sound.start"]), int(r["sound.length"]), int(r["label"])) for r in rows]
        self.triangles = torch.from_numpy(mel_triangles(RATE, N_FFT, MELS))
        self.window = torch.hann_window(N_FFT)

    def __len__(self):
        # Whole batches: both sides then read the same clips.
        return len(self.clips) // BATCH * BATCH

    def __getitem__(self, i):
        path, start, length, label = self.clips[i]
        wave, _ = soundfile.read(path, frames=length, start=start, dtype="float32")
        wave = torch.from_numpy(wave)
        if self.augmented:
            wave = augment(wave)
        if len(wave) > RATE:
            at = (len(wave) - RATE) // 2
            wave = wave[at : at + RATE]
        filled = 1 + len(wave) // HOP
        wave = F.pad(wave, (0, RATE - len(wave)))
        spectrum = torch.stft(wave, N_FFT, HOP, window=self.window, center=True, return_complex=True)
        mel = torch.log(spectrum.abs().square().T @ self.triangles + 1e-6).T
        mel[:, filled:] = 0
        return mel[None], label


def augment(wave):
    """Speed by linear interpolation and white noise: cheaper than the filter and the pink noise of the other side."""

    def within(least, most):
        return least + (most - least) * torch.rand(()).item()

    wave = F.interpolate(wave[None, None], size=round(len(wave) / within(0.85, 1.15)), mode="linear")[0, 0]
    places = round(within(-0.05, 0.05) * RATE)
    wave = F.pad(wave, (places, 0)) if places >= 0 else wave[min(-places, len(wave) // 2) :]
    if torch.rand(()).item() < 0.5:
        noise = torch.randn_like(wave)
        wave = wave + noise * wave.square().mean().sqrt() * 10 ** (-within(10, 30) / 20)
    return wave * 10 ** (within(-6, 6) / 20)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["jpeg", "images", "clips", "augmented-clips"])
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=2)
    a = parser.parse_args()
    if a.command == "jpeg":
        for path in glob.glob(os.path.join(a.folder, "png", "rgb", "*", "*.png")):
            target = os.path.join(a.folder, "jpeg", "rgb", *os.path.splitext(path)[0].split(os.sep)[-2:]) + ".jpg"
            os.makedirs(os.path.dirname(target), exist_ok=True)
            Image.open(path).save(target, quality=90, subsampling="4:2:0")
        print("{}")
        return
    data = Images(a.folder) if a.command == "images" else Clips(a.folder, a.command == "augmented-clips")
    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=a.workers, persistent_workers=True)
    total, count = 0.0, 0
    for values, _ in loader:
        total, count = total + values.double().sum().item(), count + values.numel()
    seconds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        for _ in loader:
            pass
        seconds.append(time.perf_counter() - started)
    print(json.dumps({"per_second": len(data) / statistics.median(seconds), "mean": total / count}))


if __name__ == "__main__":
    main()
