"""The ONNX backend cases of Debian's libonnx-testdata (node, simple, pytorch-converted, pytorch-operator): each is imported, rewritten by the passes, run by the
interpreter and by compiled C, and compared with its recorded outputs (rtol 1e-3, atol 1e-7, as ONNX does; integers exactly). Counts
passed, passed with all inputs but the first bound as constants (tried where a case is unsupported as it is: there weights, axes, shapes
and scales are graph inputs), unsupported (octavo says so, exit 69), refused (65) and wrong; wrong must be 0, and every case that Inputs/onnx_cases.txt, the
committed table, has as passed must pass. OCTAVO_WRITE=1 writes that table anew. Compiled C runs once for each set of ops, with
OCTAVO_WRITE or OCTAVO_FULL for every case."""
from common import *

need_oracles(__file__)

import collections
import glob
import re
import subprocess

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = "/usr/share/libonnx-testdata/data"
GROUPS = "node", "simple", "pytorch-converted", "pytorch-operator"
TABLE = os.path.join(os.environ["OCTAVO_SOURCE"], "tests", "e2e", "Inputs", "onnx_cases.txt")
if not os.path.isdir(ROOT):
    print("libonnx-testdata is not installed")
    sys.exit(1 if os.environ.get("CI") else 77)
os.makedirs(out, exist_ok=True)
os.chdir(out)


def octavo(*args):
    r = subprocess.run([os.environ["OCTAVO"], *args], capture_output=True, text=True)
    return r.returncode, r.stderr


def load(path):
    data = open(path, "rb").read()
    t = onnx.TensorProto()
    t.ParseFromString(data)
    return numpy_helper.to_array(t)


def data(path):
    """As octavo takes it: truth values and 16-bit floats as float32 (the bits of a bfloat16 are recorded as uint16)."""
    x = np.ascontiguousarray(load(path))
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.astype(np.float32) if x.dtype.kind == "b" or x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def bound(case):
    """The model with all inputs but the first as constants, of the case's first data set: weights, axes, shapes, scales."""
    m = onnx.load(os.path.join(case, "model.onnx"))
    files = glob.glob(os.path.join(case, "test_data_set_0", "input_*.pb"))
    if len(m.graph.input) < 2 or len(files) != len(m.graph.input) or any(not i.type.HasField("tensor_type") for i in m.graph.input):
        return None
    for k, i in list(enumerate(m.graph.input))[:0:-1]:
        t = onnx.TensorProto()
        t.ParseFromString(open(os.path.join(case, "test_data_set_0", f"input_{k}.pb"), "rb").read())
        t.name = i.name
        m.graph.initializer.append(t)
        del m.graph.input[k]
    onnx.save(m, "bound.onnx")
    return "bound.onnx"


def reason(text):
    """The first error, without the names of the case's own nodes and values."""
    m = re.search(r"error: (.*?) \[E\d+\]", text, re.S)
    s = re.sub(r"\s+", " ", m.group(1)) if m else text.strip().split("\n")[0]
    s = re.sub(r"node (of result )?'[^']*' ", "", s)
    return re.sub(r"'[^']*'", "'...'", s)


def check(case, model=None):
    model, sets = model or os.path.join(case, "model.onnx"), 1 if model else None
    code, said = octavo("opt", model, "--quantize", "off", "--io", "float", "-o", "m.8vo")
    if code:
        return ("unsupported" if code == 69 else "refused" if code == 65 else "wrong"), reason(said)
    text = open("m.8vo").read()
    stated = [[d.dim_value for d in i.type.tensor_type.shape.dim] for i in onnx.load(model).graph.input]
    inputs, outputs = re.findall(r"^input (\S+) :", text, re.M), re.findall(r"^output ([A-Za-z_]\S*)(?: = \S+)?$", text, re.M)
    compiled = full or bool(os.environ.get("OCTAVO_WRITE")) or new_kind(text)
    for folder in sorted(glob.glob(os.path.join(case, "test_data_set_*")))[:sets]:
        args = []
        for i, name in enumerate(inputs):
            np.save(f"x{i}.npy", x := data(os.path.join(folder, f"input_{i}.pb")))
            if 0 not in stated[i] and list(x.shape) != stated[i]:
                return "unsupported", "the data of the case do not fit its inputs"
            args += ["--input", f"{name}=x{i}.npy"]
        for engine in [["interp"], ["c", "--strict-float", "--cflags", "-O1"]][:1 + compiled]:
            to = [a for i, o in enumerate(outputs) for a in ("-o", f"{o}=y{i}.npy")]
            code, said = octavo("run", "m.8vo", "--engine", *engine, *args, *to)
            if code:
                return ("unsupported" if code == 69 else "wrong"), f"{engine[0]}: {reason(said)}"
            for i in range(len(outputs)):
                want = load(os.path.join(folder, f"output_{i}.pb"))
                got = np.load(f"y{i}.npy")
                if got.size != want.size:
                    return "wrong", f"{engine[0]}: {got.shape} for {want.shape}"
                got = got.reshape(want.shape)
                want = want if want.dtype.kind in "iub" else want.astype(np.float32)
                exact = want.dtype.kind in "iub"
                if exact and not np.array_equal(got, want) or not exact and not np.allclose(got, want, rtol=1e-3, atol=1e-7, equal_nan=True):
                    return "wrong", f"{engine[0]}: values differ by up to {np.abs(got.astype(float) - want).max():.3g}"
    return "pass", ""


def new_kind(text):
    """The first model of these ops: the others compile to much the same kernels."""
    kind = frozenset(re.findall(r"= (\w+)\(", text)) 
    return not (kind in kinds or kinds.add(kind))


kinds, results = set(), {}
for group in GROUPS:
    for case in sorted(glob.glob(os.path.join(ROOT, group, "*"))):
        if os.path.isfile(os.path.join(case, "model.onnx")):
            verdict, why = check(case)
            if verdict == "unsupported" and (model := bound(case)):
                again, what = check(case, model)
                if again in ("pass", "wrong"):
                    verdict, why = (again + " bound" if again == "pass" else again), what
            results[group, os.path.basename(case)] = verdict, why
totals = {g: collections.Counter(v for (group, _), (v, _) in results.items() if group == g) for g in GROUPS}
table = "".join(f"{g}/{n}: {v}{': ' + why if why else ''}\n" for (g, n), (v, why) in results.items())
VERDICTS = "pass", "pass bound", "unsupported", "refused", "wrong"
for g in GROUPS:
    print(f"{g}: {sum(totals[g].values())} cases: " + ", ".join(f"{totals[g][v]} {v}" for v in VERDICTS))
if os.environ.get("OCTAVO_WRITE"):
    with open(TABLE, "w") as f:
        f.write(table)
committed = open(TABLE).read()
passed = {line.split(": ")[0] for line in committed.splitlines() if ": pass" in line}
lost = [f"{g}/{n}: {v}: {why}" for (g, n), (v, why) in results.items() if f"{g}/{n}" in passed and not v.startswith("pass")]
wrong = [line for line in table.splitlines() if ": wrong" in line]
if lost or wrong or not passed:
    sys.exit("\n".join(["no longer passed, or wrong:", *lost, *wrong]))
if committed != table:
    print("the committed table is out of date: OCTAVO_WRITE=1 writes it anew")
