"""Pillow's side of `crates/mm-core/examples/image_speed.rs`: images per second on one core, as a PyTorch data set reads them."""

import io
import sys
import time

import numpy as np
from PIL import Image

SIZE = 112
ROUNDS = 5


def whole(data, mode):
    image = Image.open(io.BytesIO(data)).convert(mode).resize((SIZE, SIZE), Image.BILINEAR)
    pixels = np.asarray(image, dtype=np.float32).reshape(SIZE, SIZE, -1).transpose(2, 0, 1)
    return np.ascontiguousarray(pixels) / 255


def best(files, job):
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for data in files:
            job(data)
        seconds.append(time.perf_counter() - start)
    return len(files) / min(seconds)


def main():
    files = []
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            files.append(file.read())
    for name, mode in [("rgb", "RGB"), ("gray", "L")]:
        decoded = best(files, lambda data: Image.open(io.BytesIO(data)).load())
        resized = best(files, lambda data: whole(data, mode))
        print(f"{name}: {decoded:.0f} images/s decoded, {resized:.0f} images/s decoded and resized to {SIZE} x {SIZE}")


main()
