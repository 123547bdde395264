"""Dice of lesions by held-out patient and subset of MRI sequences, from the results of `mm bench benchmarks/mri.toml --out out`.

usage: mri.py OUT PICTURE

OUT is the folder of the bench; PICTURE becomes an SVG with a row a subset and a column a patient and run. A table is printed.
"""

import collections, glob, json, os, sys

SHORT = {"flair": "FLAIR", "t1": "T1", "t1_contrast": "T1 contrast", "t2": "T2"}
RUNS = ["modality-dropout", "full-only"]
CELL, LEFT, TOP = (76, 24), 270, 66


def found(out):
    dice, lesions = collections.defaultdict(dict), {}
    for path in glob.glob(os.path.join(out, "cells", "*", "result.json")):
        with open(path) as file:
            result = json.load(file)
        for combination in result["combinations"]:
            dice[result["run"], result["data"]][combination["subset"]] = combination["metrics"]["dice"]
        (dry, called), (missed, right) = result["combinations"][0]["confusion"]
        lesions[result["data"]] = (result["test_samples"], (missed + right) / (dry + called + missed + right))
    return dice, lesions


def title(subset):
    return " + ".join(SHORT[sequence] for sequence in subset.split("+"))


def picture(subsets, columns, dice):
    width, height = LEFT + CELL[0] * len(columns) + 10, TOP + CELL[1] * len(subsets) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for k, run in enumerate(dict.fromkeys(run for run, _ in columns)):
        at = [i for i, column in enumerate(columns) if column[0] == run]
        x = LEFT + CELL[0] * (at[0] + len(at) / 2)
        parts.append(f'<text x="{x}" y="22" text-anchor="middle" font-weight="bold">{run}</text>')
    for i, (_, patient) in enumerate(columns):
        parts.append(f'<text x="{LEFT + CELL[0] * (i + 0.5)}" y="{TOP - 10}" text-anchor="middle">{patient}</text>')
    for row, subset in enumerate(subsets):
        y = TOP + CELL[1] * row
        parts.append(f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{title(subset)}</text>')
        for i, column in enumerate(columns):
            value = dice[column][subset]
            # From white to the blue of the reports.
            colour = [round(255 + value * (to - 255)) for to in (0, 114, 178)]
            x = LEFT + CELL[0] * i
            parts.append(f'<rect x="{x}" y="{y}" width="{CELL[0] - 2}" height="{CELL[1] - 2}" fill="rgb({colour[0]},{colour[1]},{colour[2]})"/>')
            ink = "white" if value > 0.6 else "black"
            parts.append(f'<text x="{x + CELL[0] / 2 - 1}" y="{y + 16}" text-anchor="middle" fill="{ink}">{value:.2f}</text>')
    return "\n".join(parts + ["</svg>", ""])


def main():
    out, path = sys.argv[1:]
    dice, lesions = found(out)
    patients = sorted(lesions)
    columns = [(run, patient) for run in RUNS for patient in patients if (run, patient) in dice]
    subsets = sorted(next(iter(dice.values())), key=lambda subset: (subset.count("+"), subset))
    for patient, (slices, share) in sorted(lesions.items()):
        print(f"{patient}: {slices} slices, lesions on {100 * share:.2f} % of the pixels")
    print(f"\n| sequences | {' | '.join(f'`{run}`, {patient}' for run, patient in columns)} |\n|---|{'---:|' * len(columns)}")
    for subset in subsets:
        print(f"| {title(subset)} | {' | '.join(f'{dice[column][subset]:.2f}'[int(dice[column][subset] < 1):] for column in columns)} |")
    with open(path, "w") as file:
        file.write(picture(subsets, columns, dice))


if __name__ == "__main__":
    main()
