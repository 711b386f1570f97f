"""Writes the seeds of fuzz_tflite.c: small models that between them hold every TFLite operator octavo reads, in its usual forms.
Usage, with the peers' venv (bench/peers/setup.sh): .peers/bin/python tests/fuzz/seeds_tflite.py tests/fuzz/corpus_tflite"""
import os
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
TYPES = {"float32": s.TensorType.FLOAT32, "int8": s.TensorType.INT8, "int32": s.TensorType.INT32, "int16": s.TensorType.INT16, "float16": s.TensorType.FLOAT16,
         "int64": s.TensorType.INT64, "uint8": s.TensorType.UINT8}


class Seed:
    def __init__(self, name):
        self.name, self.tensors, self.buffers, self.codes, self.ops = name, [], [s.BufferT()], [], []

    def tensor(self, shape, dtype="int8", q=None, data=None, axis=0, batch=False, int4=False):
        t = s.TensorT()
        t.name, t.shape, t.type, t.buffer = f"t{len(self.tensors)}", list(shape), s.TensorType.INT4 if int4 else TYPES[dtype], 0
        if batch:
            t.shapeSignature = [-1, *shape[1:]]
        if q:
            t.quantization = s.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint, t.quantization.quantizedDimension = list(q[0]), list(q[1]), axis
        if data is not None:
            b = s.BufferT()
            b.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(b)
            t.buffer = len(self.buffers) - 1
        self.tensors.append(t)
        return len(self.tensors) - 1

    def act(self, *shape, scale=0.5, zero=-3, **k):
        return self.tensor(shape, "int8", ([scale], [zero]), **k)

    def ints(self, *values, dtype="int32"):
        a = np.array(values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values, dtype)
        return self.tensor(a.shape, dtype, data=a)

    def codes_of(self, *shape, channels=0, axis=0, dtype="int8"):
        n = shape[axis] if channels else 1
        return self.tensor(shape, dtype, ([0.01 * (i + 1) for i in range(n)], [0] * n), (np.arange(np.prod(shape)) % 13 - 6).astype(dtype), axis)

    def op(self, name, inputs, output, **options):
        code = getattr(s.BuiltinOperator, name)
        if code not in self.codes:
            self.codes.append(code)
        o = s.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs = self.codes.index(code), list(inputs), [output]
        if options:
            kind = options.pop("kind")
            o.builtinOptionsType, o.builtinOptions = getattr(s.BuiltinOptions, kind), getattr(s, kind + "T")()
            for k, v in options.items():
                setattr(o.builtinOptions, k, v)
        self.ops.append(o)
        return output

    def write(self, inputs, outputs):
        g, m = s.SubGraphT(), s.ModelT()
        g.tensors, g.operators, g.inputs, g.outputs = self.tensors, self.ops, inputs, outputs
        m.version, m.subgraphs, m.buffers, m.operatorCodes = 3, [g], self.buffers, []
        for c in self.codes:
            k = s.OperatorCodeT()
            k.builtinCode, k.deprecatedBuiltinCode, k.version = c, min(c, 127), 1
            m.operatorCodes.append(k)
        b = flatbuffers.Builder(1024)
        b.Finish(m.Pack(b), b"TFL3")
        open(os.path.join(folder, self.name + ".tflite"), "wb").write(b.Output())


z = Seed("conv")
x = z.act(1, 6, 6, 2, batch=True)
y = z.op("CONV_2D", [x, z.codes_of(4, 3, 3, 2, channels=1), z.ints([1, -2, 3, 4])], z.act(1, 3, 3, 4), kind="Conv2DOptions", padding=0, strideH=2, strideW=2,
         dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=1)
y = z.op("DEPTHWISE_CONV_2D", [y, z.codes_of(1, 3, 3, 8, channels=1, axis=3), z.ints(list(range(8)))], z.act(1, 1, 1, 8), kind="DepthwiseConv2DOptions", padding=1,
         strideH=1, strideW=1, depthMultiplier=2, dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=3)
y = z.op("RESHAPE", [y, z.ints([1, 8])], z.act(1, 8), kind="ReshapeOptions", newShape=[1, 8])
y = z.op("FULLY_CONNECTED", [y, z.codes_of(3, 8), z.ints([0, 5, -5])], z.act(1, 3, scale=0.25, zero=4), kind="FullyConnectedOptions")
y = z.op("SOFTMAX", [y], z.act(1, 3, scale=1 / 256, zero=-128), kind="SoftmaxOptions", beta=1.0)
z.write([x], [y])

z = Seed("pools")
x = z.act(1, 4, 4, 2)
a = z.op("AVERAGE_POOL_2D", [x], z.act(1, 2, 2, 2), kind="Pool2DOptions", padding=0, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
b = z.op("MAX_POOL_2D", [x], z.act(1, 2, 2, 2), kind="Pool2DOptions", padding=1, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
c = z.op("CONCATENATION", [a, b], z.act(1, 2, 2, 4), kind="ConcatenationOptions", axis=-1)
d = z.op("MEAN", [c, z.ints([1, 2])], z.act(1, 4), kind="ReducerOptions", keepDims=False)
z.write([x], [d, c])

z = Seed("elements")
x = z.tensor([1, 2, 2, 3], "float32")
q = z.op("QUANTIZE", [x], z.act(1, 2, 2, 3, scale=0.05, zero=2))
r = z.op("QUANTIZE", [q], z.act(1, 2, 2, 3, scale=0.1, zero=0))
a = z.op("ADD", [q, r], z.act(1, 2, 2, 3, scale=0.2), kind="AddOptions", fusedActivationFunction=2)
a = z.op("MUL", [a, z.codes_of(3)], z.act(1, 2, 2, 3), kind="MulOptions")
a = z.op("SUB", [a, q], z.act(1, 2, 2, 3), kind="SubOptions")
for name in "LOGISTIC", "TANH", "RELU", "RELU6", "HARD_SWISH", "EXP", "SQRT", "RELU_N1_TO_1":
    a = z.op(name, [a], z.act(1, 2, 2, 3, scale=0.02))
a = z.op("LEAKY_RELU", [a], z.act(1, 2, 2, 3), kind="LeakyReluOptions", alpha=0.1)
z.write([x], [z.op("DEQUANTIZE", [a], z.tensor([1, 2, 2, 3], "float32"))])

z = Seed("moves")
x = z.act(1, 2, 4, 4, batch=True)
a = z.op("TRANSPOSE", [x, z.ints([0, 2, 3, 1])], z.act(1, 4, 4, 2))
a = z.op("PAD", [a, z.ints([[0, 0], [1, 0], [0, 2], [0, 0]])], z.act(1, 5, 6, 2))
a = z.op("PADV2", [a, z.ints([[0, 0], [1, 0], [0, 2], [0, 0]]), z.tensor([], "int8", ([0.5], [-3]), np.array(7, np.int8))], z.act(1, 6, 8, 2))
a = z.op("STRIDED_SLICE", [a, z.ints([0, 1, 0, 1]), z.ints([0, 5, 8, 2]), z.ints([1, 2, 1, 1])], z.act(1, 2, 8), kind="StridedSliceOptions", beginMask=1, endMask=1,
         shrinkAxisMask=8)
n = z.op("SHAPE", [a], z.tensor([3], "int32"))
n = z.op("PACK", [n], z.tensor([3], "int32"), kind="PackOptions")
a = z.op("RESHAPE", [a, n], z.act(1, 16))
a = z.op("EXPAND_DIMS", [a, z.ints(1)], z.act(1, 1, 16))
z.write([x], [z.op("SQUEEZE", [a], z.act(1, 16), kind="SqueezeOptions", squeezeDims=[1])])

z = Seed("floats")
x = z.tensor([1, 4, 4, 1], "float32")
w = z.op("DEQUANTIZE", [z.tensor([2, 2, 2, 1], "float16", data=np.arange(8, dtype=np.float16))], z.tensor([2, 2, 2, 1], "float32"))
y = z.op("CONV_2D", [x, w, -1], z.tensor([1, 3, 3, 2], "float32"), kind="Conv2DOptions", padding=1, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
         fusedActivationFunction=3)
z.write([x], [z.op("FULLY_CONNECTED", [y, z.codes_of(3, 18)], z.tensor([1, 3], "float32"), kind="FullyConnectedOptions", fusedActivationFunction=1)])

z = Seed("int16")
x = z.tensor([1, 4], "int16", ([0.001], [0]))
y = z.op("FULLY_CONNECTED", [x, z.codes_of(3, 4), z.ints([1, 2, 3], dtype="int64")], z.tensor([1, 3], "int16", ([0.002], [0])), kind="FullyConnectedOptions")
w = z.tensor([3, 3], "int8", ([0.1], [0]), np.array([0x21, 0x43, 0xE5, 0x0F, 1], np.uint8), int4=True)
z.write([x], [z.op("FULLY_CONNECTED", [y, w], z.tensor([1, 3], "int16", ([0.002], [0])), kind="FullyConnectedOptions")])
