"""One peer, one net, one process: python peer.py PEER FOLDER THREADS, then a line a command on stdin, an answer a line on stdout.

    outputs          runs every sample of x.npy, writes FOLDER/PEER.npy; answers the number of samples
    time SECONDS     calls the net on the first sample again and again; answers seconds a call
    call SECONDS     the same for a net of one element: what a call costs by itself

Each peer has its best configuration: bound inputs and outputs where it can, its own quantizer, warm, the same threads."""
import ctypes, json, os, sys, time

peer, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
cpus = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, cpus[-1:] if threads == 1 else cpus[:threads])  # before any library counts processors
os.environ["OMP_NUM_THREADS"] = str(threads)
import numpy as np


def at(name):
    return os.path.join(folder, name)


# Each loader takes a model and a sample and returns (call, read): call() runs the net on what `load(x)` put in, read() gives float32.
class Ort:
    def __init__(self, model, exact=False):
        import onnxruntime as ort
        so = ort.SessionOptions()
        so.intra_op_num_threads, so.inter_op_num_threads, so.log_severity_level = threads, 1, 3
        if exact:
            so.add_session_config_entry("session.x64quantprecision", "1")
        self.s = ort.InferenceSession(model, so, providers=["CPUExecutionProvider"])
        i, o = self.s.get_inputs()[0], self.s.get_outputs()[0]
        self.x, self.y = np.zeros(i.shape, np.float32), np.zeros(o.shape, np.float32)
        self.io = self.s.io_binding()
        self.io.bind_input(i.name, "cpu", 0, np.float32, i.shape, self.x.ctypes.data)
        self.io.bind_output(o.name, "cpu", 0, np.float32, o.shape, self.y.ctypes.data)

    def load(self, x):
        self.x[...] = x

    def call(self):
        self.s.run_with_iobinding(self.io)

    def read(self):
        return self.y


class LiteRt:
    def __init__(self, model):
        from ai_edge_litert.interpreter import Interpreter
        self.i = Interpreter(model, num_threads=threads)
        self.i.allocate_tensors()
        self.di, self.do = self.i.get_input_details()[0], self.i.get_output_details()[0]
        self.call = self.i.invoke

    def load(self, x):
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
        if self.di["dtype"] != np.float32:
            scale, zero = self.di["quantization"]
            x = np.clip(np.rint(x / scale) + zero, -128, 127)
        self.i.set_tensor(self.di["index"], np.ascontiguousarray(x.astype(self.di["dtype"])))

    def read(self):
        y = self.i.get_tensor(self.do["index"])
        if self.do["dtype"] != np.float32:
            scale, zero = self.do["quantization"]
            y = (y.astype(np.float32) - zero) * scale
        return y.transpose(0, 3, 1, 2) if y.ndim == 4 else y


class OpenVino:
    def __init__(self, model):
        import openvino as ov
        core = ov.Core()
        c = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
                                              "INFERENCE_PRECISION_HINT": "f32"})
        self.r = c.create_infer_request()
        self.x = np.zeros(list(c.input(0).shape), np.float32)
        self.r.set_input_tensor(ov.Tensor(self.x, shared_memory=True))
        self.call = self.r.infer

    def load(self, x):
        self.x[...] = x

    def read(self):
        return self.r.get_output_tensor(0).data


class Ncnn:
    def __init__(self, stem):
        import ncnn
        self.ncnn, self.net = ncnn, ncnn.Net()
        self.net.opt.num_threads = threads
        if self.net.load_param(stem + ".ncnn.param") or self.net.load_model(stem + ".ncnn.bin"):
            raise RuntimeError("ncnn cannot load it")

    def load(self, x):
        self.keep = np.ascontiguousarray(x[0])
        self.x = self.ncnn.Mat(self.keep)

    def call(self):
        ex = self.net.create_extractor()
        ex.input("in0", self.x)
        self.y = ex.extract("out0")[1]

    def read(self):
        return np.array(self.y)


class Octavo:
    """The shared object that prepare.py made; STEM.json tells its names and shapes."""

    def __init__(self, stem):
        d = json.load(open(stem + ".json"))
        lib = ctypes.CDLL(stem + ".so")
        self.run = getattr(lib, d["run"] if threads == 1 else "shared_run")
        if threads > 1 and lib.shared_start(threads):
            raise RuntimeError("octavo's pool did not start")
        self.x, self.y = np.zeros(d["input"], d["input_type"]), np.zeros(d["output"], d["output_type"])
        self.arena = np.zeros(d["arena"] + 64, np.uint8)
        self.d, self.lib = d, lib
        self.args = [ctypes.c_void_p(self.x.ctypes.data), ctypes.c_void_p(self.y.ctypes.data),
                     ctypes.c_void_p((self.arena.ctypes.data + 63) // 64 * 64)]

    def load(self, x):
        x = np.ascontiguousarray(x, np.float32)
        if self.d["quantize"]:
            getattr(self.lib, self.d["quantize"])(ctypes.c_void_p(x.ctypes.data), self.args[0])
        else:
            self.x[...] = x

    def call(self):
        if self.run(*self.args):
            raise RuntimeError("octavo's run failed")

    def read(self):
        return self.y


def make(kind, stem):
    if kind.startswith("ort"):
        return Ort(stem + {"ort-f32": ".onnx"}.get(kind, ".qdq.onnx"), kind == "ort-int8-exact")
    if kind.startswith("litert"):
        return LiteRt(stem + {"litert-f32": ".tflite"}.get(kind, ".int8.tflite"))
    if kind.startswith("openvino"):
        return OpenVino(stem + {"openvino-f32": ".onnx", "openvino-nncf": ".nncf.xml"}.get(kind, ".qdq.onnx"))
    return Ncnn(stem) if kind == "ncnn-f32" else Octavo(os.path.join(os.path.dirname(stem), kind))


def timed(call, seconds):
    n, block, start = 0, 1, time.perf_counter()
    while True:
        for _ in range(block):
            call()
        n += block
        spent = time.perf_counter() - start
        if spent >= seconds:
            return spent / n
        block = max(1, min(64, int(n * (seconds - spent) / spent / 4)))


net = make(peer, at("net"))
x = np.load(at("x.npy"))
net.load(x[:1])
for _ in range(3):
    net.call()
tiny = None
print("ready", flush=True)
for line in sys.stdin:
    word = line.split()
    if word[0] == "outputs":
        ys = []
        for i in range(len(x)):
            net.load(x[i:i + 1])
            net.call()
            ys.append(np.array(net.read()).reshape(1, -1).copy())
        np.save(at(peer + ".npy"), np.concatenate(ys))
        net.load(x[:1])
        print(len(ys), flush=True)
    elif word[0] == "time":
        print(repr(timed(net.call, float(word[1]))), flush=True)
    elif word[0] == "call":
        if tiny is None:
            tiny = make(peer, os.path.join(folder, "..", "tiny", "net"))
            tiny.load(np.ones((1, 1), np.float32))
        print(repr(timed(tiny.call, float(word[1]))), flush=True)
