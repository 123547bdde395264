"""IoU of flooded pixels by part of the test and by cloud, from the results of `mm bench benchmarks/floods.toml --out out`.

usage: floods.py OUT SAMPLES

OUT is the folder of the bench, SAMPLES the table that `mm data prepare ombria` wrote. Needs numpy and Pillow. A tile is cloudy where 5 % of the pixels
of its image after the flood are bright in all three bands: at least 90 of 255 in each, and no more than a quarter redder than blue.
"""

import collections, csv, glob, json, os, statistics, sys
import numpy as np
from PIL import Image

COMBINATIONS = {
    "radar": "s1_before+s1_after", "optical": "s2_before+s2_after", "after": "s1_after+s2_after",
    "all": "s1_before+s1_after+s2_before+s2_after",
}  # fmt: skip


def is_cloudy(path):
    pixels = np.asarray(Image.open(path)).astype(int)
    return ((pixels.min(2) >= 90) & (pixels[..., 2] >= 0.8 * pixels[..., 0])).mean() >= 0.05


def main():
    out, samples = sys.argv[1:]
    with open(samples) as file:
        rows = list(csv.DictReader(file))
    folder = os.path.dirname(samples)
    cloudy = {row["id"]: is_cloudy(os.path.join(folder, row["s2_after"])) for row in rows if row["both"] == "test"}
    unseen = {row["id"]: row["floods"] == "unseen" for row in rows}
    parts = {
        "unseen floods": lambda id: unseen[id], "floods of the training": lambda id: not unseen[id],
        "cloudy tiles": lambda id: cloudy[id], "tiles without clouds": lambda id: not cloudy[id],
    }  # fmt: skip
    print(", ".join(f"{name}: {sum(map(part, cloudy))} tiles" for name, part in parts.items()))
    found = collections.defaultdict(list)
    for path in glob.glob(os.path.join(out, "cells", "*", "result.json")):
        with open(path) as file:
            result = json.load(file)
        for combination in result["combinations"]:
            # Of each tile: right, called and actual pixels of dry and of flooded ground.
            counts = np.array(combination["sums"]).reshape(len(result["test_ids"]), 6)
            for name, part in parts.items():
                _, right, _, called, _, actual = counts[[part(id) for id in result["test_ids"]]].sum(0)
                found[result["run"], combination["subset"], name].append(right / (called + actual - right))
    runs = sorted({run for run, _, _ in found})
    for name in parts:
        print(f"\n| {name} | {' | '.join(COMBINATIONS)} |\n|---|{'---:|' * len(COMBINATIONS)}")
        for run in runs:
            cells = [found.get((run, subset, name), []) for subset in COMBINATIONS.values()]
            show = lambda v: f"{statistics.mean(v):.3f}" + (f" ± {statistics.stdev(v):.3f}" if len(v) > 1 else "") if v else "–"
            print(f"| `{run}` ({max(map(len, cells))} seeds) | {' | '.join(map(show, cells))} |")


if __name__ == "__main__":
    main()
