#!/bin/sh
# Builds a venv, .peers, with what octavo is compared with: ONNX Runtime, LiteRT and its quantizer, OpenVINO and its (NNCF), ncnn and its converter.
# oneDNN (single layers) is Debian's libdnnl-dev. All are optional for bench/peers/run.py, which names those that are absent. About 800 MB.
set -eu
cd "$(dirname "$0")/../.."
[ -x .peers/bin/python ] || python3 -m venv .peers
.peers/bin/pip install -q 'onnxruntime==1.31.*' 'onnx==1.19.*' 'ai-edge-litert==2.3.*' 'ai-edge-quantizer==0.10.*' 'openvino==2026.4.*' 'nncf==3.4.*' 'ncnn==1.0.*' numpy
.peers/bin/pip install -q --no-deps pnnx # its command needs no torch
