/* onnx_scan.h - the check of an ONNX file's raw bytes that comes before protobuf-c sees them. */
#ifndef OCT_ONNX_SCAN_H
#define OCT_ONNX_SCAN_H

#include "frontend.h"

enum {
    OCT_ONNX_DEPTH = 48,      /* messages within messages */
    OCT_ONNX_NODES = 1 << 15, /* nodes of the main graph */
};
/* What unpacking may take: so much whatever the size, and so many bytes for each byte of the file. */
#define OCT_ONNX_MEMORY_BASE     ((size_t)32 << 20)
#define OCT_ONNX_MEMORY_PER_BYTE ((size_t)8)

/* Walks the bytes once, without recursion, in linear time. Checks wire types, varints, lengths, depth, that strings hold no NUL
 * and that no singular field of a known message is given twice. *memory gets an upper bound of what protobuf-c will allocate for
 * the messages of onnx.proto. One diagnostic and false when the file is malformed or would need more than the limits above. */
bool oct_onnx_scan(struct oct_ctx *cx, struct oct_span span, struct oct_bytes file, size_t *memory);

#endif
