#!/usr/bin/env python3
"""Why exactness is a matter of accuracy: the keyword model quantized by ONNX Runtime's own tool and run by its own kernels, beside
octavo's, on the same calibration and test data. Where the machine has AVX2 or AVX-512 without VNNI, ONNX Runtime's default int8
kernels add u8 x s8 products in saturating 16 bits.

    .venv/bin/python bench/saturation.py build-release/octavo [../shared]"""
import json, os, subprocess, sys, tempfile
import numpy as np
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

octavo, shared = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else "../shared")
model, data = f"{shared}/models/kws_dscnn.onnx", f"{shared}/data/kws_"
cal, test, labels = (np.load(f"{data}{n}.npy") for n in ("cal_f32", "test_f32", "test_labels"))


class Reader(CalibrationDataReader):
    def __init__(self):
        self.rows = iter(cal)

    def get_next(self):
        x = next(self.rows, None)
        return None if x is None else {"mfcc": x[None]}


def top1(path, exact):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return 100 * np.mean([session.run(None, {"mfcc": x[None]})[0].argmax() == y for x, y in zip(test, labels)])


with tempfile.TemporaryDirectory() as tmp:
    q = f"{tmp}/q.onnx"
    quantize_static(model, q, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)
    mine = f"{tmp}/q.8vo"
    subprocess.run([octavo, "quantize", model, "--data", data + "cal_f32.npy", "-o", mine], check=True)
    p = subprocess.run([octavo, "eval", mine, "--data", data + "test_f32.npy", "--labels", data + "test_labels.npy", "--engine", "c", "--json"],
                       check=True, capture_output=True, text=True)
    print(f"float, ONNX Runtime                      {top1(model, False):6.2f} %")
    print(f"int8, ONNX Runtime {ort.__version__}, default kernels {top1(q, False):6.2f} %")
    print(f"int8, the same, x64quantprecision=1      {top1(q, True):6.2f} %")
    print(f"int8, octavo, compiled C                 {100 * json.loads(p.stdout)['top1']:6.2f} %")
