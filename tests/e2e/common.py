"""What the end-to-end tests share: where things are, the shared models with their data, running octavo, skipping visibly."""
import ast, json, os, struct, subprocess, sys, time

octavo, out = os.environ["OCTAVO"], os.environ["OCTAVO_OUT"]
shared, source = os.environ["OCTAVO_SHARED"], os.environ["OCTAVO_SOURCE"]
full = bool(os.environ.get("OCTAVO_FULL"))

# name: (calibration data, test data, labels or None); all of shared/models' float networks.
FLOAT_MODELS = {
    "kws_dscnn": ("kws_cal_f32", "kws_test_f32", "kws_test_labels"),
    "kws_dscnn_folded": ("kws_cal_f32", "kws_test_f32", "kws_test_labels"),
    "ic_resnet8": ("ic_cal_f32", "ic_test1000_f32", "cifar_test1000_labels"),
    "resnet20_cifar10": ("resnet20_cal_f32", "resnet20_test1000_f32", "cifar_test1000_labels"),
    "ad_autoencoder": ("ad_cal_f32", "ad_test_f32", None),
    "vww_mobilenetv1_025_96": ("vww_cal_f32", "vww_test_f32", None),
    "sww_streaming": ("sww_cal_f32", "sww_test_f32", None),
}

# The official int8 models that stand there as TFLite and QDQ files, with LiteRT's outputs: test data.
LITERT_MODELS = {
    "kws_dscnn_int8": "kws_test_f32",
    "ic_resnet8_int8": "ic_test1000_f32",
    "vww_mobilenetv1_025_96_int8": "vww_test_f32",
    "ad_autoencoder_int8": "ad_test_f32",
}


def need_shared():
    """Exit 77 (ctest counts it as skipped) where the shared models are absent; in CI that is a failure."""
    if os.path.isdir(os.path.join(shared, "models")):
        return
    print("shared models are absent")
    sys.exit(1 if os.environ.get("CI") else 77)


def need_oracles(script):
    """Runs the script again in the venv of scripts/setup.sh --oracles, which holds numpy, onnx and onnxruntime, unless it is in it."""
    python = os.path.join(source, ".venv", "bin", "python")
    if os.environ.get("OCTAVO_IN_VENV"):
        return
    if not os.access(python, os.X_OK):
        sys.exit("no .venv: run scripts/setup.sh --oracles")
    os.execve(python, [python, script], dict(os.environ, OCTAVO_IN_VENV="1"))


def model(name):
    return os.path.join(shared, "models", name + ".onnx")


def data(name):
    return os.path.join(shared, "data", name + ".npy")


def _octavo(args, expect, **kw):
    p = subprocess.run([octavo, *map(str, args)], capture_output=True, text=True, **kw)
    if p.returncode != expect:
        sys.exit(f"octavo {' '.join(map(str, args))}\nexits {p.returncode}, expected {expect}\n{p.stdout[-2000:]}{p.stderr[-4000:]}")
    return p


def run(*args, expect=0, **kw):
    """octavo with args; fails the test unless it exits with `expect`. Returns stdout."""
    return _octavo(args, expect, **kw).stdout


def heard(*args, expect=0, **kw):
    """The same; returns stderr."""
    return _octavo(args, expect, **kw).stderr


def run_json(*args, **kw):
    return json.loads(run(*args, "--json", **kw))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def npy_read(path):
    """Element type, shape and bytes of an npy file."""
    raw = read(path)
    n = 10 + struct.unpack("<H", raw[8:10])[0]
    meta = ast.literal_eval(raw[10:n].decode())
    return meta["descr"], meta["shape"], raw[n:]


def npy_write(path, descr, shape, elements):
    text = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)})
    text += " " * (-(len(text) + 11) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + elements)


def head(path, to, samples):
    """The first samples of an npy file."""
    descr, shape, elements = npy_read(path)
    samples = min(samples, shape[0])
    npy_write(to, descr, (samples,) + shape[1:], elements[:len(elements) // shape[0] * samples])
    return to


def folder(*parts):
    path = os.path.join(out, *parts)
    os.makedirs(path, exist_ok=True)
    return path


class Tally:
    """Counts checks; prints the closing line and exits."""
    def __init__(self):
        self.passed = self.failed = 0
        self.start = time.time()

    def check(self, ok, what):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print("FAILED:", what, flush=True)
        return ok

    def close(self):
        print(f"{time.time() - self.start:.1f} s")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
