"""Makes of FOLDER/net.onnx what each peer loads, by the peer's own converter and quantizer:

    net.tflite net.int8.tflite   LiteRT (litert_file.py; ai-edge-quantizer, static int8)
    net.qdq.onnx                 ONNX Runtime and OpenVINO (quantize_static: int8 activations, per-channel int8 weights, min/max)
    net.nncf.xml                 OpenVINO (NNCF's post-training quantization)
    net.ncnn.{param,bin}         ncnn (pnnx)
    octavo-KIND.{so,json}        octavo: KINDS below

and FOLDER/interp.npy, the interpreter's output codes. A peer that cannot is named with the reason, not skipped in silence. What is
there already and newer than what it is made from is kept."""
import contextlib, io, json, os, re, subprocess
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
# How octavo is built: emitted form, options of quantize, options of compile.
KINDS = {
    "octavo-c": ("c", (), ()),
    "octavo-llvm": ("obj", (), ()),
    "octavo-tuned": ("c", (), ("--tune", "tuned.txt")),  # what the tuner found is in tuned.txt beside the objects
    "octavo-own": ("c", ("--saturation", "pair4", "--act-range", "reduced"), ()),  # weights and ranges made for sums in 16 bits
    "octavo-f32": ("c", None, ()),
}


def fresh(made, *sources):
    return os.path.exists(made) and all(os.path.getmtime(made) > os.path.getmtime(s) for s in sources if os.path.exists(s))


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


def nncf(folder):
    import logging
    logging.disable(logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import nncf
        import openvino as ov
        nncf.set_log_level(logging.ERROR)
        cal = np.load(os.path.join(folder, "cal.npy"))
        model = ov.Core().read_model(os.path.join(folder, "net.onnx"))
        model = nncf.quantize(model, nncf.Dataset([c[None] for c in cal]), subset_size=len(cal), target_device=nncf.TargetDevice.CPU)
        ov.save_model(model, os.path.join(folder, "net.nncf.xml"), compress_to_fp16=False)


def ncnn_int8(folder):
    raise RuntimeError("its quantizer, ncnn2table and ncnn2int8, is in neither the wheels nor Debian")


def ncnn(folder):
    import importlib.util, onnx
    shape = [d.dim_value for d in onnx.load(os.path.join(folder, "net.onnx")).graph.input[0].type.tensor_type.shape.dim]
    package = importlib.util.find_spec("pnnx").submodule_search_locations[0]  # its Python side would import torch; its command does not
    run(os.path.join(package, "pnnx"), "net.onnx", f"inputshape=[{','.join(map(str, shape))}]", "fp16=0", cwd=folder)


RUNTIME = os.path.join(HERE, "..", "..", "runtime")
THREADS = 2
# One run by the threads of the runtime's pool.
SHARED_RUN = """#include "net.h"
#include "octavo_team.h"
static struct octavo_pool pool;
int shared_start(int parts) { return octavo_pool_start(&pool, parts < NET_MAX_PARTS ? parts : NET_MAX_PARTS); }
int shared_run(const void *x, void *y, void *arena) {
    struct net_job job = {x, y, arena};
    octavo_pool_run(&pool, net_job_part, &job);
    return 0;
}
"""


def octavo(folder, command, kind, options):
    def of(f):
        return os.path.join(folder, f)
    emit, quantize, compile_options = KINDS[kind]
    model, codes = (of("net.onnx"), None) if quantize is None else (of("own.8vo"), "own.npy") if quantize else (of("q.8vo"), "interp.npy")
    if codes and not fresh(of(codes), command, of("net.onnx")):
        run(command, "quantize", of("net.onnx"), "--data", of("cal.npy"), *quantize, "-o", model)
        run(command, "run", model, "--input", of("x.npy"), "-o", of(codes))
    out = of(kind + ".d/net")
    os.makedirs(os.path.dirname(out), exist_ok=True)
    compile_options = [os.path.join(os.path.dirname(out), o) if o.endswith(".txt") else o for o in compile_options]
    run(command, "compile", model, "--emit", emit, "--threads", str(THREADS), *compile_options, *options, "-o", out)
    with open(out + "_shared.c", "w") as f:
        f.write(SHARED_RUN)
    sources = [out + e for e in ((".o",) if emit == "obj" else (".c", ".weights.S")) if os.path.exists(out + e)]
    run("cc", "-O3", "-march=native", "-shared", "-fPIC", "-pthread", "-I", RUNTIME, "-o", of(kind + ".so"), out + "_shared.c",
        os.path.join(RUNTIME, "octavo_team.c"), *sources, cwd=os.path.dirname(out))
    header, report = open(out + ".h").read(), json.load(open(out + ".json"))
    x, cal_in = np.load(of("x.npy")), re.search(r"int (\w+_run)\(const (\w+) \*\w+, (\w+) \*", header)
    types = {"int8_t": "int8", "uint8_t": "uint8", "float": "float32", "int16_t": "int16"}
    q = re.search(r"void (\w+_quantize_\w+)\(", header)
    n = int(np.prod(np.load(of("y_shape.npy"))))
    json.dump({"run": cal_in[1], "input": list(x.shape[1:]), "input_type": types[cal_in[2]], "output": [n], "output_type": types[cal_in[3]],
               "arena": report["arena_bytes"], "quantize": q[1] if q else None}, open(of(kind + ".json"), "w"))


def accuracy(folder, command, kind, samples, labels):
    """[right, agreeing with the float model, of how many] of what octavo quantized, by its compiled code; None for right without labels."""
    import onnxruntime as ort
    made = os.path.join(folder, f"accuracy-{kind}.json")
    if not fresh(made, command, os.path.join(folder, "net.onnx")):
        x, codes = np.load(samples)[:500].astype(np.float32), os.path.join(folder, "accuracy.npy")
        np.save(os.path.join(folder, "samples.npy"), x)
        model = os.path.join(folder, "own.8vo" if KINDS[kind][1] else "q.8vo")
        run(command, "run", model, "--engine", "c", "--input", os.path.join(folder, "samples.npy"), "-o", codes)
        s = ort.InferenceSession(os.path.join(folder, "net.onnx"), providers=["CPUExecutionProvider"])
        want = np.array([s.run(None, {s.get_inputs()[0].name: v[None]})[0].argmax() for v in x])
        got = np.load(codes).reshape(len(x), -1).argmax(1)
        right = [int((v == np.load(labels)[:len(x)].reshape(-1)).sum()) for v in (got, want)] if labels else None
        json.dump({"right": right and right[0], "float": right and right[1], "agree": int((got == want).sum()), "of": len(x)}, open(made, "w"))
    return json.load(open(made))


def everything(folder, command, peers, options):
    """Returns {peer: reason} of those that cannot."""
    import onnxruntime as ort
    net, shape = os.path.join(folder, "net.onnx"), os.path.join(folder, "y_shape.npy")
    if not fresh(shape, net):
        x = np.load(os.path.join(folder, "x.npy"))[:1]
        s = ort.InferenceSession(net, providers=["CPUExecutionProvider"])
        np.save(shape, s.run(None, {s.get_inputs()[0].name: x})[0].shape)
    steps = {"litert-f32": (litert, "net.tflite"), "litert-int8": (litert_int8, "net.int8.tflite"), "ort-int8": (ort_int8, "net.qdq.onnx"),
             "ncnn-f32": (ncnn, "net.ncnn.bin"), "ncnn-int8": (ncnn_int8, "none"), "openvino-nncf": (nncf, "net.nncf.xml")}
    missing = {}
    for p in peers:
        try:
            if p in KINDS:
                if options or not fresh(os.path.join(folder, p + ".json"), command, net):
                    octavo(folder, command, p, options)
            elif p in steps and not fresh(os.path.join(folder, steps[p][1]), net, os.path.join(HERE, "prepare.py")):
                steps[p][0](folder)
        except Exception as e:  # a peer that is not installed, or refuses the net
            missing[p] = f"{type(e).__name__}: {e}".splitlines()[0][:160]
    return missing
