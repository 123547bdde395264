"""The default bench in PyTorch, for `cargo xtask perf --rows bench`: every method on both sizes, trained and evaluated once.

usage: default_bench.py DATASET_DIR THREADS JOBS [SEED] [--splits FILE] [--predictions DIR] [--methods METHOD...]

FILE gives the rows of each part, {size: {"train": [...], "validation": [...], "test": [...]}}; without it they are drawn from the seed.
DIR gets the predictions of every cell in the format of docs/src/predictions.md: probabilities as .npy beside an index.
Prints one JSON line a cell: {"method", "size", "train_seconds", "evaluation_seconds", "mean_accuracy", "worst_accuracy"}, the last two over
combinations, then one for the whole:
{"seconds", "mean_accuracy", "peak_memory_bytes"}. `seconds` is the wall time from the first cell to the last, of ONE seed: the bench has
as many of these as seeds. JOBS cells run side by side, each with THREADS threads, the teacher (full-only) of a size first.
Evaluation is the reference way: a forward pass for each of the 63 combinations, then 3 corruptions at 5 severities with all views.
"""

import argparse, csv, gzip, json, os, resource, time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
import multiprocessing
import numpy as np, torch
from six_views_methods import build, combinations

VIEWS = ["fac", "fou", "kar", "mor", "pix", "zer"]
CORRUPTED = [0, 2, 4]  # fac, kar, pix
SIZES = {"numerals-1400": (140, 40), "numerals-200": (20, 120)}  # training samples a class, epochs
# The longest first.
METHODS = ["full-only", "per-combination", "mod-distill", "udml", "late-fusion", "dmrnet", "mmanet", "static-fusion-noise", "logit-distillation",
           "modality-dropout", "mean-imputation"]
NEEDS_TEACHER = ["mmanet", "logit-distillation", "mod-distill"]
DATA, TEST_ROWS = {}, {}  # of each size


def load(folder, threads, seed, splits):
    torch.set_num_threads(threads)
    tables = [np.loadtxt(f"{folder}/mfeat-{v}.csv.gz", delimiter=",", skiprows=1, dtype=np.float32) for v in VIEWS]
    y = tables[0][:, -1].astype(np.int64)
    shuffle = np.random.default_rng(seed)
    rows = [shuffle.permutation(np.where(y == c)[0]) for c in range(10)]
    for size, (per_class, _) in SIZES.items():
        if splits:
            parts = [np.array(splits[size][part]) for part in ("train", "validation", "test")]
        else:
            parts = [np.concatenate([r[part] for r in rows]) for part in (slice(per_class), slice(140, 160), slice(160, None))]
        x = [t[:, :-1] for t in tables]
        x = [(v - v[parts[0]].mean(0)) / (v[parts[0]].std(0) + 1e-6) for v in x]
        DATA[size] = [([torch.tensor(v[p]) for v in x], torch.tensor(y[p])) for p in parts]
        TEST_ROWS[size] = parts[2]


def train(model, size, epochs, batch=64):
    (inputs, labels), (held_out, held_out_labels), _ = DATA[size]
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    steps = len(labels) // batch
    for epoch in range(epochs):
        model.train()
        order = torch.randperm(len(labels))
        for step in range(steps):
            rows = order[step * batch : (step + 1) * batch]
            progress = (epoch + step / steps) / epochs
            loss = model.loss([v[rows] for v in inputs], labels[rows], epoch, progress)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        model.eval()
        if hasattr(model, "end_of_epoch"):
            with torch.no_grad():
                model.end_of_epoch(epoch, held_out, held_out_labels)


def corrupt(x, family, severity):
    x = list(x)
    for m in CORRUPTED:
        if family == "gaussian":
            x[m] = x[m] + [0.5, 1.0, 2.0, 4.0, 6.0][severity] * torch.randn_like(x[m])
            continue
        hit = torch.rand(len(x[m]), 1) < 0.2 * (severity + 1)
        x[m] = torch.where(hit, 0.0 if family == "dead" else x[m][torch.randperm(len(x[m]))], x[m])
    return x


def evaluate(model, size):
    x, y = DATA[size][2]
    predict = lambda x, mask: model.predict(x, mask.expand(len(y), -1))
    accuracy = lambda logits: (logits.argmax(1) == y).float().mean().item()
    masks, predictions = combinations(len(x)), []  # (combination, corruption, severity, corrupted), logits
    with torch.no_grad():
        for m in model.evaluated(masks) if hasattr(model, "evaluated") else masks:
            predictions.append((("+".join(v for v, has in zip(VIEWS, m) if has), "", "", ""), predict(x, m)))
        by_combination = [accuracy(logits) for _, logits in predictions]
        corrupted = "+".join(VIEWS[m] for m in CORRUPTED)
        for family in ("gaussian", "dead", "swapped"):
            for severity in range(5):
                logits = predict(corrupt(x, family, severity), masks[-1])
                predictions.append((("full", family, severity + 1, corrupted), logits))
    return dict(mean_accuracy=float(np.mean(by_combination)), worst_accuracy=float(min(by_combination))), predictions


def write(folder, method, size, seed, predictions):
    """An index, one line a prediction, and the probabilities in the order of its lines."""
    path, labels = f"{folder}/{size}-{method}-{seed}", DATA[size][2][1].tolist()
    with gzip.open(path + ".csv.gz", "wt", newline="", compresslevel=1) as file:
        table = csv.writer(file)
        table.writerow(["data", "run", "seed", "combination", "corruption", "severity", "corrupted", "sample", "truth"])
        for situation, _ in predictions:
            table.writerows((size, method, seed, *situation, row, y) for row, y in zip(TEST_ROWS[size], labels))
    np.save(path + ".npy", torch.cat([logits.softmax(1) for _, logits in predictions]).numpy().astype(np.float32))


def cell(method, size, seed, teacher_state, predictions_folder):
    torch.manual_seed(seed)
    widths, teacher = [v.shape[1] for v in DATA[size][0][0]], None
    if method in NEEDS_TEACHER:
        teacher = build("full-only", widths, None)
        teacher.load_state_dict(teacher_state)
        teacher.eval()
    model = build(method, widths, teacher)
    started = time.perf_counter()
    train(model, size, SIZES[size][1])
    trained = time.perf_counter()
    accuracy, predictions = evaluate(model, size)
    seconds = dict(train_seconds=trained - started, evaluation_seconds=time.perf_counter() - trained)
    if predictions_folder:
        write(predictions_folder, method, size, seed, predictions)
    result = dict(method=method, size=size) | seconds | accuracy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return result, memory, model.state_dict() if method == "full-only" else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("threads", type=int)
    parser.add_argument("jobs", type=int)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--splits")
    parser.add_argument("--predictions")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    a = parser.parse_args()
    seed, methods, jobs = a.seed, a.methods, a.jobs
    splits = json.load(open(a.splits)) if a.splits else None
    if a.predictions:
        os.makedirs(a.predictions, exist_ok=True)
        with open(f"{a.predictions}/predictions.toml", "w") as file:
            file.write(f"modalities = {json.dumps(VIEWS)}\nclasses = {json.dumps([str(c) for c in range(10)])}\n")
    spawn = multiprocessing.get_context("spawn")  # threads of PyTorch do not survive a fork
    with ProcessPoolExecutor(jobs, spawn, load, (a.folder, a.threads, seed, splits)) as pool:
        for done in [pool.submit(time.sleep, 0.5) for _ in range(jobs)]:
            done.result()  # all processes are up
        started = time.perf_counter()
        running = {pool.submit(cell, "full-only", size, seed, None, a.predictions) for size in SIZES}
        free = [m for m in methods if m != "full-only" and m not in NEEDS_TEACHER]
        taught = [m for m in methods if m in NEEDS_TEACHER]
        running |= {pool.submit(cell, m, size, seed, None, a.predictions) for m in free for size in SIZES}
        means, memory = [], 0
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for result, peak, state in (d.result() for d in done):
                print(json.dumps(result), flush=True)
                means.append(result["mean_accuracy"])
                memory = max(memory, peak)
                if state is not None:
                    running |= {pool.submit(cell, m, result["size"], seed, state, a.predictions) for m in taught}
        print(json.dumps(dict(seconds=time.perf_counter() - started, mean_accuracy=float(np.mean(means)), peak_memory_bytes=memory)))


if __name__ == "__main__":
    main()
