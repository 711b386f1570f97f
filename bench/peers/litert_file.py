"""A float ONNX net (batch 1, batch norms folded) as a TFLite file, through the schema that LiteRT's package brings.

NCHW becomes NHWC, weights OHWI (depthwise 1HWC), Relu is fused where it has one reader's producer, explicit pads become SAME where
they are that, else a PAD. Only the ops of nets.py and the shared float models."""
import numpy as np
import onnx
from onnx import numpy_helper
import flatbuffers
from ai_edge_litert import schema_py_generated as s

B, O = s.BuiltinOperator, s.BuiltinOptions
RELU = s.ActivationFunctionType.RELU


class Writer:
    def __init__(self, path):
        m = onnx.shape_inference.infer_shapes(onnx.load(path))
        self.g = m.graph
        self.const = {i.name: numpy_helper.to_array(i) for i in self.g.initializer}
        self.shape = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
                      for v in [*self.g.value_info, *self.g.output, *self.g.input]}
        self.buffers, self.tensors, self.ops, self.codes, self.at = [s.BufferT()], [], [], [], {}
        self.readers = {}
        for n in self.g.node:
            for i in n.input:
                self.readers.setdefault(i, []).append(n)

    def tensor(self, name, shape, data=None):
        t = s.TensorT()
        t.name, t.shape, t.type, t.buffer = name, [int(d) for d in shape], s.TensorType.FLOAT32, 0
        if data is not None:
            t.type = {np.dtype("float32"): s.TensorType.FLOAT32, np.dtype("int32"): s.TensorType.INT32}[data.dtype]
            b = s.BufferT()
            b.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(b)
            t.buffer = len(self.buffers) - 1
        self.tensors.append(t)
        return len(self.tensors) - 1

    def constant(self, name, a):
        return self.tensor(name, a.shape, a.astype(a.dtype if a.dtype == np.int32 else np.float32))

    def nhwc(self, shape):
        return [shape[0], shape[2], shape[3], shape[1]] if len(shape) == 4 else shape

    def op(self, code, inputs, output, kind=0, options=None):
        if code not in self.codes:
            self.codes.append(code)
        o = s.OperatorT()
        o.opcodeIndex, o.inputs, o.outputs, o.builtinOptionsType, o.builtinOptions = self.codes.index(code), inputs, [output], kind, options
        self.ops.append(o)

    def result(self, node):
        """The tensor of the node's value, or of the Relu that alone reads it; and the activation to fuse."""
        y, act = node.output[0], 0
        r = self.readers.get(y, [])
        if len(r) == 1 and r[0].op_type == "Relu":
            y, act = r[0].output[0], RELU
            self.skip.add(r[0].name or y)
        t = self.tensor(y, self.nhwc(self.shape[y]))
        self.at[y] = t
        return t, act

    def padded(self, x, node, a, kernel, value=0.0):
        """The input and the padding mode of a window op."""
        pads, stride = a.get("pads", [0] * 4), a["strides"]
        h, w = self.shape[node.input[0]][2:]
        if not any(pads):
            return x, s.Padding.VALID
        same = []
        for size, k, st in ((h, kernel[0], stride[0]), (w, kernel[1], stride[1])):
            total = max((-(-size // st) - 1) * st + k - size, 0)
            same.append((total // 2, total - total // 2))
        if [(pads[0], pads[2]), (pads[1], pads[3])] == same:
            return x, s.Padding.SAME
        shape = self.tensors[x].shape
        y = self.tensor(node.output[0] + "_pad", [shape[0], shape[1] + pads[0] + pads[2], shape[2] + pads[1] + pads[3], shape[3]])
        p = self.constant(node.output[0] + "_pads", np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32))
        if value:
            self.op(B.PADV2, [x, p, self.constant(node.output[0] + "_v", np.array(value, np.float32))], y, O.PadV2Options, s.PadV2OptionsT())
        else:
            self.op(B.PAD, [x, p], y, O.PadOptions, s.PadOptionsT())
        return y, s.Padding.VALID

    def node(self, n):
        a = {x.name: onnx.helper.get_attribute_value(x) for x in n.attribute}
        x = self.at.get(n.input[0])
        kind = n.op_type
        if kind == "Conv":
            w = self.const[n.input[1]]
            bias = self.const[n.input[2]] if len(n.input) > 2 else np.zeros(len(w), np.float32)
            depthwise = a["group"] > 1
            x, padding = self.padded(x, n, a, w.shape[2:])
            o = s.DepthwiseConv2DOptionsT() if depthwise else s.Conv2DOptionsT()
            o.padding, (o.strideH, o.strideW) = padding, a["strides"]
            o.dilationHFactor = o.dilationWFactor = 1
            if depthwise:
                o.depthMultiplier = 1
            w = w.transpose(1, 2, 3, 0) if depthwise else w.transpose(0, 2, 3, 1)
            y, o.fusedActivationFunction = self.result(n)
            self.op(B.DEPTHWISE_CONV_2D if depthwise else B.CONV_2D, [x, self.constant(n.input[1] + n.output[0], w), self.constant(n.output[0] + "_b", bias)], y,
                    O.DepthwiseConv2DOptions if depthwise else O.Conv2DOptions, o)
        elif kind in ("AveragePool", "MaxPool"):
            x, padding = self.padded(x, n, {"strides": [1, 1], **a}, a["kernel_shape"], -3e38 if kind == "MaxPool" else 0.0)
            o = s.Pool2DOptionsT()
            o.padding, (o.strideH, o.strideW), (o.filterHeight, o.filterWidth) = padding, a.get("strides", [1, 1]), a["kernel_shape"]
            y, o.fusedActivationFunction = self.result(n)
            self.op(B.AVERAGE_POOL_2D if kind == "AveragePool" else B.MAX_POOL_2D, [x], y, O.Pool2DOptions, o)
        elif kind == "GlobalAveragePool":
            o = s.ReducerOptionsT()
            o.keepDims = True
            y, _ = self.result(n)
            self.op(B.MEAN, [x, self.constant(n.output[0] + "_axes", np.array([1, 2], np.int32))], y, O.ReducerOptions, o)
        elif kind in ("Flatten", "Reshape"):
            shape = self.shape[n.input[0]]
            if len(shape) == 4 and shape[1] != 1 and shape[2] * shape[3] != 1:
                raise ValueError(f"{kind} of an image larger than 1x1 would change order")
            o = s.ReshapeOptionsT()
            o.newShape = self.shape[n.output[0]]
            y, _ = self.result(n)
            self.op(B.RESHAPE, [x, self.constant(n.output[0] + "_shape", np.array(o.newShape, np.int32))], y, O.ReshapeOptions, o)
        elif kind == "Gemm":
            w = self.const[n.input[1]]
            o = s.FullyConnectedOptionsT()
            y, o.fusedActivationFunction = self.result(n)
            self.op(B.FULLY_CONNECTED, [x, self.constant(n.input[1], w if a.get("transB") else w.T), self.constant(n.output[0] + "_b", self.const[n.input[2]])], y,
                    O.FullyConnectedOptions, o)
        elif kind == "Add":
            o = s.AddOptionsT()
            y, o.fusedActivationFunction = self.result(n)
            self.op(B.ADD, [x, self.at[n.input[1]]], y, O.AddOptions, o)
        elif kind == "Relu":
            y, _ = self.result(n)
            self.op(B.RELU, [x], y)
        elif kind == "Softmax":
            o = s.SoftmaxOptionsT()
            o.beta = 1.0
            y, _ = self.result(n)
            self.op(B.SOFTMAX, [x], y, O.SoftmaxOptions, o)
        elif kind == "Slice":
            starts, ends, axes, steps = ([int(v) for v in self.const[i]] for i in n.input[1:5])
            rank = len(self.shape[n.input[0]])
            begin, end, stride = [0] * rank, list(self.shape[n.input[0]]), [1] * rank
            for st, e, ax, step in zip(starts, ends, axes, steps):
                begin[ax], end[ax], stride[ax] = st, min(e, end[ax]), step
            y, _ = self.result(n)
            args = [self.constant(f"{n.output[0]}_{i}", np.array(self.nhwc(v), np.int32)) for i, v in enumerate((begin, end, stride))]
            self.op(B.STRIDED_SLICE, [x, *args], y, O.StridedSliceOptions, s.StridedSliceOptionsT())
        elif kind == "Pad":
            p = [int(v) for v in self.const[n.input[1]]]
            rank = len(p) // 2
            pairs = self.nhwc([[p[i], p[rank + i]] for i in range(rank)])
            y, _ = self.result(n)
            self.op(B.PAD, [x, self.constant(n.output[0] + "_pads", np.array(pairs, np.int32))], y, O.PadOptions, s.PadOptionsT())
        else:
            raise ValueError(f"no TFLite form for {kind}")

    def write(self, path):
        self.skip = set()
        i, o = self.g.input[0].name, self.g.output[0].name
        self.at[i] = self.tensor(i, self.nhwc(self.shape[i]))
        for n in self.g.node:
            if n.op_type == "Relu" and (n.name or n.output[0]) in self.skip:
                continue
            if n.op_type == "Identity" or n.op_type == "Dropout":
                self.at[n.output[0]] = self.at[n.input[0]]
                continue
            self.node(n)
        g, m = s.SubGraphT(), s.ModelT()
        g.tensors, g.operators, g.inputs, g.outputs = self.tensors, self.ops, [self.at[i]], [self.at[o]]
        m.version, m.subgraphs, m.buffers, m.operatorCodes = 3, [g], self.buffers, []
        d = s.SignatureDefT()  # the quantizer asks for one
        d.signatureKey, d.subgraphIndex, d.inputs, d.outputs = "serving_default", 0, [], []
        for maps, name in ((d.inputs, i), (d.outputs, o)):
            t = s.TensorMapT()
            t.name, t.tensorIndex = name, self.at[name]
            maps.append(t)
        m.signatureDefs = [d]
        for c in self.codes:
            k = s.OperatorCodeT()
            k.builtinCode, k.deprecatedBuiltinCode, k.version = c, min(c, 127), 1
            m.operatorCodes.append(k)
        b = flatbuffers.Builder(1024)
        b.Finish(m.Pack(b), b"TFL3")
        open(path, "wb").write(b.Output())


def convert(onnx_path, path):
    Writer(onnx_path).write(path)
