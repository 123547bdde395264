"""Run exported models in ONNX Runtime and OpenVINO: `compare.py FOLDER THREADS [BATCH]`.

Each folder in FOLDER has model.onnx, inputs.safetensors and outputs.safetensors: samples of every combination of sensors, with NaN where
a sensor is absent, and what our own model says of them. Prints a line of JSON a folder and engine: the largest distance from that,
each over 1 or the largest number of the sample's answer, whether NaN is where it should be, and, where BATCH is given, the time of so
many samples that have all sensors, the lowest decile of many: what else the machine does lengthens the others.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

WARM_UP, REPEATS, LONGEST = 10, 300, 3.0


def onnxruntime_engine(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    types = {value.name: value.type.removeprefix("tensor(").removesuffix(")") for value in session.get_inputs()}
    return types, lambda inputs: dict(zip(names, session.run(None, inputs)))


def openvino_engine(path, threads):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    request = compiled.create_infer_request()
    names = [(name, i) for i, output in enumerate(compiled.outputs) for name in output.get_names()]
    known = {"f32": "float", "f64": "double", "i64": "int64", "boolean": "bool"}
    types = {value.get_any_name(): known[value.get_element_type().get_type_name()] for value in compiled.inputs}

    def run(inputs):
        request.infer(inputs)
        return {name: request.get_output_tensor(i).data.copy() for name, i in names}

    return types, run


def prepared(inputs, types):
    kinds = {"float": np.float32, "double": np.float64, "int64": np.int64, "bool": np.bool_}
    return {name: inputs[name].astype(kinds[kind]) for name, kind in types.items()}


def difference(found, wanted):
    if not np.array_equal(np.isnan(found), np.isnan(wanted)):
        return float("inf")
    there = ~np.isnan(wanted)
    largest = np.max(np.abs(wanted), axis=tuple(range(1, wanted.ndim)), keepdims=True, where=there, initial=1.0)
    return float(np.max(np.abs(found - wanted) / largest, where=there, initial=0.0))


def seconds(run, inputs, batch):
    full = int(np.argmax(inputs["presence"].sum(axis=1)))
    some = {name: np.repeat(values[full : full + 1], batch, axis=0) for name, values in inputs.items()}
    times, begun = [], time.perf_counter()
    for turn in range(WARM_UP + REPEATS):
        started = time.perf_counter()
        run(some)
        if turn >= WARM_UP:
            times.append(time.perf_counter() - started)
        if times and time.perf_counter() - begun > LONGEST:
            break
    return sorted(times)[len(times) // 10]


def main():
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    batch = int(sys.argv[3]) if len(sys.argv) > 3 else None
    for case in sorted(folder.iterdir()):
        given, wanted = load_file(case / "inputs.safetensors"), load_file(case / "outputs.safetensors")
        for name, engine in [("onnxruntime", onnxruntime_engine), ("openvino", openvino_engine)]:
            line = {"case": case.name, "engine": name, "skipped": None, "problem": None, "difference": None, "seconds": None}
            try:
                types, run = engine(case / "model.onnx", threads)
                if name == "openvino" and "double" in types.values():
                    line["skipped"] = "rounds inputs of float64 to float32"
                    print(json.dumps(line), flush=True)
                    continue
                inputs = prepared(given, types)
                found = run(inputs)
                line["difference"] = max(difference(found[output].astype(np.float64), values) for output, values in wanted.items())
                if batch is not None:
                    line["seconds"] = seconds(run, inputs, batch)
            except Exception as error:  # one engine that cannot run one model leaves the others their numbers
                line["problem"] = str(error).strip().splitlines()[-1] if str(error).strip() else repr(error)
            if line["difference"] == float("inf"):
                line["problem"], line["difference"] = "NaN in other places", None
            print(json.dumps(line), flush=True)


main()
