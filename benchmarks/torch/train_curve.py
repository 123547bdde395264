"""Loss by loss: MMANet's image network trained on generated images, from given initial weights, for a comparison with ours step by step.

usage: train_curve.py INITIAL.safetensors [TEACHER.safetensors] [--steps 200] [--batch 8] [--size 112] [--threads 2] [--learning-rate 0.001]

INITIAL holds the deployment network and its regularization branch, TEACHER (optional) a teacher, both under the published names
(special_bone_rgb.0.weight ... shared_bone.4.bias, auxi_bone.4.bias). Prints one JSON line: {"losses": one a step, "accuracies": one a
step, of the training batch, "seconds": all steps, "peak_memory_bytes"}.

The data, exactly. All integers are unsigned and wrap at 64 bits:
    hash(key, i):  z = key * 0x9E3779B97F4A7C15 + (i + 1) * 0xD1B54A32D192ED03
                   z ^= z >> 30; z *= 0xBF58476D1CE4E5B9; z ^= z >> 27; z *= 0x94D049BB133111EB; z ^= z >> 31
Step t (from 0), sample b of a batch of B, sensor m (0 rgb, 1 depth, 2 ir), channel c, row r, column q of S x S pixels:
    label(t, b)   = hash(71, t * B + b) >> 63                                    0 or 1
    mask(t, b)    = 1 + (hash(72, t * B + b) >> 40) mod 7                        bit m set: sensor m is there
    noise         = (hash(100 + 3 * t + m, ((b * 3 + c) * S + r) * S + q) >> 40) / 2^23 - 1       in [-1, 1)
    even          = (q div 8 + m) mod 2 == 0              if label(t, b) = 0     stripes
                    (q div 8 + r div 8 + m) mod 2 == 0    if label(t, b) = 1     a chequerboard
    pixel         = 0.5 * noise + (0.25 if even else -0.25)
Noise and pixel are multiples of 2^-24 below 1: f32 holds them exactly, so every order of these operations gives the same bits.

A step, in training mode: features of absent sensors are multiplied by 0 (their encoders run, and count in the batch statistics);
    loss = CE(logits, labels) + 0.5 * CE(regularization logits, labels)
         + 30 * MAD(feature, teacher's feature, teacher's logits)                with TEACHER: evaluation mode, all sensors present
MAD weighs rows by sample (spec section 2.2; section 2.5 has the total). SGD: momentum 0.9, Nesterov, weight decay 5e-4 on all parameters,
constant learning rate; gradients are not clipped. Batch norm: eps 1e-5, momentum 0.1, unbiased running variance.
"""

import argparse, json, resource, time
import numpy as np, torch, torch.nn.functional as F
from safetensors.torch import load_file
from surf_networks import Surf, margin_aware_distillation

U = np.uint64


def hash64(key, count):
    with np.errstate(over="ignore"):
        z = U(key) * U(0x9E3779B97F4A7C15) + np.arange(1, count + 1, dtype=U) * U(0xD1B54A32D192ED03)
        z ^= z >> U(30)
        z *= U(0xBF58476D1CE4E5B9)
        z ^= z >> U(27)
        z *= U(0x94D049BB133111EB)
        return z ^ (z >> U(31))


def step_data(step, batch, size):
    """Images by sensor [batch, 3, size, size], labels [batch], mask [batch, 3]."""
    rows = slice(step * batch, (step + 1) * batch)
    labels = (hash64(71, rows.stop)[rows] >> U(63)).astype(np.int64)
    drawn = 1 + (hash64(72, rows.stop)[rows] >> U(40)) % U(7)
    mask = np.stack([(drawn >> U(m)) & U(1) for m in range(3)], 1).astype(np.float32)
    block = np.arange(size) // 8
    images = []
    for m in range(3):
        noise = (hash64(100 + 3 * step + m, batch * 3 * size * size) >> U(40)).astype(np.float32) / np.float32(2**23) - np.float32(1)
        stripes, chequers = (block[None] + np.zeros_like(block)[:, None] + m) % 2 == 0, (block[None] + block[:, None] + m) % 2 == 0
        even = np.where(labels[:, None, None] == 0, stripes, chequers)[:, None]
        pattern = np.where(even, np.float32(0.25), np.float32(-0.25))
        images.append(torch.from_numpy(np.float32(0.5) * noise.reshape(batch, 3, size, size) + pattern))
    return images, torch.from_numpy(labels), torch.from_numpy(mask)


def load(path, regularization):
    network = Surf(regularization=regularization)
    outcome = network.load_state_dict(load_file(path), strict=False)
    missing = [name for name in outcome.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or outcome.unexpected_keys:
        raise SystemExit(f"{path}: missing {missing}, unexpected {outcome.unexpected_keys}")
    return network


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("initial")
    parser.add_argument("teacher", nargs="?")
    for option, default in (("steps", 200), ("batch", 8), ("size", 112), ("threads", 2)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    network = load(a.initial, regularization=True).train()
    teacher = load(a.teacher, regularization=False).eval() if a.teacher else None
    optimizer = torch.optim.SGD(network.parameters(), a.learning_rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    losses, accuracies, seconds = [], [], 0.0
    for step in range(a.steps):
        images, labels, mask = step_data(step, a.batch, a.size)
        started = time.perf_counter()
        logits, feature, joined = network(images, mask)
        loss = F.cross_entropy(logits, labels) + 0.5 * F.cross_entropy(network.auxi_bone(joined), labels)
        if teacher:
            with torch.no_grad():
                teacher_logits, teacher_feature, _ = teacher(images, torch.ones_like(mask))
            loss = loss + 30 * margin_aware_distillation(feature, teacher_feature, teacher_logits)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds += time.perf_counter() - started
        losses.append(loss.item())
        accuracies.append((logits.argmax(1) == labels).float().mean().item())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(dict(losses=losses, accuracies=accuracies, seconds=seconds, peak_memory_bytes=memory)))


if __name__ == "__main__":
    main()
