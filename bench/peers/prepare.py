"""Makes of FOLDER/net.onnx what each peer loads, by the peer's own converter and quantizer:

    net.tflite net.int8.tflite   LiteRT (litert_file.py; ai-edge-quantizer, static int8)
    net.qdq.onnx                 ONNX Runtime and OpenVINO (quantize_static: int8 activations, per-channel int8 weights, min/max)
    net.ncnn.{param,bin}         ncnn (pnnx)
    octavo-{c,llvm,f32}.{so,json} octavo: C through cc, its LLVM object, its float code

and FOLDER/interp.npy, the interpreter's output codes. A peer that cannot is named with the reason, not skipped in silence."""
import contextlib, io, json, os, re, subprocess
import numpy as np


def run(*args, cwd=None):
    p = subprocess.run(args, capture_output=True, text=True, cwd=cwd)
    if p.returncode:
        raise RuntimeError(f"{os.path.basename(args[0])} {args[1] if len(args) > 1 else ''}: {(p.stderr or p.stdout).strip().splitlines()[-1][:200] if (p.stderr or p.stdout).strip() else p.returncode}")
    return p.stdout


def litert(folder):
    import litert_file
    stem = os.path.join(folder, "net")
    litert_file.convert(stem + ".onnx", stem + ".tflite")


def litert_int8(folder):
    from ai_edge_quantizer import quantizer, recipe
    stem = os.path.join(folder, "net")
    from ai_edge_litert.interpreter import Interpreter
    i = Interpreter(stem + ".tflite")
    signature = i.get_signature_list()
    name = i.get_input_details()[0]["name"]
    cal = np.load(os.path.join(folder, "cal.npy"))
    data = [{name: np.ascontiguousarray(c[None].transpose(0, 2, 3, 1) if cal.ndim == 4 else c[None])} for c in cal]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        q = quantizer.Quantizer(stem + ".tflite", recipe.static_wi8_ai8())
        made = q.quantize(q.calibrate({next(iter(signature)): data})).quantized_model
    open(stem + ".int8.tflite", "wb").write(made)


def ort_int8(folder):
    import logging
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    import onnx
    logging.disable(logging.WARNING)
    stem = os.path.join(folder, "net")
    name = onnx.load(stem + ".onnx").graph.input[0].name
    cal = np.load(os.path.join(folder, "cal.npy"))

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.it = iter({name: c[None]} for c in cal)

        def get_next(self):
            return next(self.it, None)

    quantize_static(stem + ".onnx", stem + ".qdq.onnx", Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)


def ncnn(folder):
    import importlib.util, onnx
    shape = [d.dim_value for d in onnx.load(os.path.join(folder, "net.onnx")).graph.input[0].type.tensor_type.shape.dim]
    package = importlib.util.find_spec("pnnx").submodule_search_locations[0]  # its Python side would import torch; its command does not
    run(os.path.join(package, "pnnx"), "net.onnx", f"inputshape=[{','.join(map(str, shape))}]", "fp16=0", cwd=folder)


RUNTIME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "runtime")
THREADS = 2
# One run by the threads of the runtime's pool.
SHARED_RUN = """#include "net.h"
#include "octavo_team.h"
static struct octavo_pool pool;
int shared_start(int parts) { return octavo_pool_start(&pool, parts); }
int shared_run(const void *x, void *y, void *arena) {
    struct net_job job = {x, y, arena};
    octavo_pool_run(&pool, net_job_part, &job);
    return 0;
}
"""


def octavo(folder, command, kind, options):
    """kind: octavo-c, octavo-llvm, octavo-f32."""
    def of(f):
        return os.path.join(folder, f)
    is_float = kind == "octavo-f32"
    model = of("net.onnx") if is_float else of("q.8vo")
    if not is_float and not os.path.exists(model):
        run(command, "quantize", of("net.onnx"), "--data", of("cal.npy"), "-o", model)
        run(command, "run", model, "--input", of("x.npy"), "-o", of("interp.npy"))
    out = of(kind + ".d/net")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    emit = ["--emit", "obj" if kind == "octavo-llvm" else "c"]
    run(command, "compile", model, *emit, "--threads", str(THREADS), *options, "-o", out)
    with open(out + "_shared.c", "w") as f:
        f.write(SHARED_RUN)
    sources = [out + e for e in ((".o",) if kind == "octavo-llvm" else (".c", ".weights.S")) if os.path.exists(out + e)]
    run("cc", "-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-I", RUNTIME, "-o", of(kind + ".so"), out + "_shared.c",
        os.path.join(RUNTIME, "octavo_team.c"), *sources, cwd=os.path.dirname(out))
    header, report = open(out + ".h").read(), json.load(open(out + ".json"))
    x, cal_in = np.load(of("x.npy")), re.search(r"int (\w+_run)\(const (\w+) \*\w+, (\w+) \*", header)
    types = {"int8_t": "int8", "uint8_t": "uint8", "float": "float32", "int16_t": "int16"}
    q = re.search(r"void (\w+_quantize_\w+)\(", header)
    n = int(np.prod(np.load(of("y_shape.npy"))))
    json.dump({"run": cal_in[1], "input": list(x.shape[1:]), "input_type": types[cal_in[2]], "output": [n], "output_type": types[cal_in[3]],
               "arena": report["arena_bytes"], "quantize": q[1] if q else None}, open(of(kind + ".json"), "w"))


def everything(folder, command, peers, options):
    """Returns {peer: reason} of those that cannot."""
    import onnxruntime as ort
    x = np.load(os.path.join(folder, "x.npy"))[:1]
    s = ort.InferenceSession(os.path.join(folder, "net.onnx"), providers=["CPUExecutionProvider"])
    np.save(os.path.join(folder, "y_shape.npy"), s.run(None, {s.get_inputs()[0].name: x})[0].shape)
    steps = {"litert-f32": lambda: litert(folder), "litert-int8": lambda: litert_int8(folder), "ort-int8": lambda: ort_int8(folder),
             "ncnn-f32": lambda: ncnn(folder), **{k: (lambda k=k: octavo(folder, command, k, options)) for k in ("octavo-c", "octavo-llvm", "octavo-f32")}}
    missing = {}
    for p in peers:
        try:
            steps.get(p, lambda: None)()
        except Exception as e:  # a peer that is not installed, or refuses the net
            missing[p] = f"{type(e).__name__}: {e}".splitlines()[0][:160]
    return missing
