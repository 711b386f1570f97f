/* onnx_scan.c - pre-scan of ONNX bytes: protobuf's wire format, checked against a table of the messages, before any of it is
 * unpacked. protobuf-c recurses as deep as the file says and grows tiny fields into large structs; this scan has a stack of
 * fixed size and adds up what unpacking would cost.
 *
 * Wire format: a field is a varint tag (number << 3 | wire type), then by wire type 0 a varint, 1 eight bytes, 2 a varint
 * length and so many bytes, 5 four bytes. Types 3 and 4 (groups) do not occur in ONNX and are refused. */
#include "onnx_scan.h"

#include <string.h>

#include "onnx.pb-c.h"

/* ---- the messages ------------------------------------------------------------------------------------------------ */

enum kind { K_END, K_VARINT, K_F32, K_F64, K_STRING, K_BYTES, K_MESSAGE };
enum { ONCE, MANY };

struct field {
    unsigned number;
    enum kind kind;
    int many;
    const struct message *sub; /* K_MESSAGE */
};
struct message {
    const char *name;
    size_t size; /* of protobuf-c's struct; 0: not unpacked (part of an unknown field), it costs nothing of its own */
    const struct field *fields;
};

static const struct message model, opset, graph, node, attribute, tensor, entry, value, type, tensor_type, shape, dim;
static const struct message subgraph, subnode, subattribute;

#define FIELDS(m)          static const struct field m##_fields[]
#define MESSAGE(m, Struct) static const struct message m = {#m, sizeof(Struct), m##_fields}
#define NESTED(m)          static const struct message m = {#m, 0, m##_fields}

FIELDS(entry) = {{1, K_STRING, ONCE, NULL}, {2, K_STRING, ONCE, NULL}, {0, K_END, 0, NULL}};
MESSAGE(entry, OctOnnx__Entry);
FIELDS(opset) = {{1, K_STRING, ONCE, NULL}, {2, K_VARINT, ONCE, NULL}, {0, K_END, 0, NULL}};
MESSAGE(opset, OctOnnx__Opset);
FIELDS(dim) = {{1, K_VARINT, ONCE, NULL}, {2, K_STRING, ONCE, NULL}, {0, K_END, 0, NULL}};
MESSAGE(dim, OctOnnx__Dim);
FIELDS(shape) = {{1, K_MESSAGE, MANY, &dim}, {0, K_END, 0, NULL}};
MESSAGE(shape, OctOnnx__Shape);
FIELDS(tensor_type) = {{1, K_VARINT, ONCE, NULL}, {2, K_MESSAGE, ONCE, &shape}, {0, K_END, 0, NULL}};
MESSAGE(tensor_type, OctOnnx__TensorType);
FIELDS(type) = {{1, K_MESSAGE, ONCE, &tensor_type}, {0, K_END, 0, NULL}};
MESSAGE(type, OctOnnx__Type);
FIELDS(value) = {{1, K_STRING, ONCE, NULL}, {2, K_MESSAGE, ONCE, &type}, {0, K_END, 0, NULL}};
MESSAGE(value, OctOnnx__Value);
FIELDS(tensor) = {{1, K_VARINT, MANY, NULL},     {2, K_VARINT, ONCE, NULL},  {4, K_F32, MANY, NULL},
                  {5, K_VARINT, MANY, NULL},     {7, K_VARINT, MANY, NULL},  {8, K_STRING, ONCE, NULL},
                  {9, K_BYTES, ONCE, NULL},      {10, K_F64, MANY, NULL},    {11, K_VARINT, MANY, NULL},
                  {13, K_MESSAGE, MANY, &entry}, {14, K_VARINT, ONCE, NULL}, {0, K_END, 0, NULL}};
MESSAGE(tensor, OctOnnx__Tensor);
/* A subgraph is not unpacked, but what is in it is looked at, so that a file is valid as a whole or refused. */
#define ATTRIBUTE_FIELDS                                                                                                         \
    {1, K_STRING, ONCE, NULL}, {2, K_F32, ONCE, NULL}, {3, K_VARINT, ONCE, NULL}, {4, K_BYTES, ONCE, NULL},                      \
        {5, K_MESSAGE, ONCE, &tensor}, {6, K_MESSAGE, ONCE, &subgraph}, {7, K_F32, MANY, NULL}, {8, K_VARINT, MANY, NULL},       \
        {9, K_STRING, MANY, NULL}, {11, K_MESSAGE, MANY, &subgraph}, {20, K_VARINT, ONCE, NULL}, {21, K_STRING, ONCE, NULL}, {   \
        0, K_END, 0, NULL                                                                                                        \
    }
FIELDS(attribute) = {ATTRIBUTE_FIELDS};
MESSAGE(attribute, OctOnnx__Attribute);
FIELDS(subattribute) = {ATTRIBUTE_FIELDS};
NESTED(subattribute);
#define NODE_FIELDS(attr)                                                                                                        \
    {1, K_STRING, MANY, NULL}, {2, K_STRING, MANY, NULL}, {3, K_STRING, ONCE, NULL}, {4, K_STRING, ONCE, NULL},                  \
        {5, K_MESSAGE, MANY, attr}, {7, K_STRING, ONCE, NULL}, {                                                                 \
        0, K_END, 0, NULL                                                                                                        \
    }
FIELDS(node) = {NODE_FIELDS(&attribute)};
MESSAGE(node, OctOnnx__Node);
FIELDS(subnode) = {NODE_FIELDS(&subattribute)};
NESTED(subnode);
#define GRAPH_FIELDS(n)                                                                                                          \
    {1, K_MESSAGE, MANY, n}, {2, K_STRING, ONCE, NULL}, {5, K_MESSAGE, MANY, &tensor}, {10, K_STRING, ONCE, NULL},               \
        {11, K_MESSAGE, MANY, &value}, {12, K_MESSAGE, MANY, &value}, {15, K_BYTES, MANY, NULL}, {                               \
        0, K_END, 0, NULL                                                                                                        \
    }
FIELDS(graph) = {GRAPH_FIELDS(&node)};
MESSAGE(graph, OctOnnx__Graph);
FIELDS(subgraph) = {GRAPH_FIELDS(&subnode)};
NESTED(subgraph);
FIELDS(model) = {{1, K_VARINT, ONCE, NULL},    {6, K_STRING, ONCE, NULL}, {7, K_MESSAGE, ONCE, &graph},
                 {8, K_MESSAGE, MANY, &opset}, {25, K_BYTES, MANY, NULL}, {0, K_END, 0, NULL}};
MESSAGE(model, OctOnnx__Model);

/* ---- the walk ----------------------------------------------------------------------------------------------------- */

/* Upper bounds of what protobuf-c allocates: a field's scan record (kept in slabs that double) and its place in an array; an
 * unknown field's record; the round-up of one allocation in an arena. */
enum { FIELD_COST = 96, UNKNOWN_COST = 64, ROUND_COST = 80 };

struct frame {
    const struct message *m;
    size_t end;    /* one past the message's last byte */
    uint32_t seen; /* bit i: field i of the table was met */
    bool unpacked; /* protobuf-c will build it */
};
struct scan {
    struct oct_ctx *cx;
    struct oct_span span;
    const uint8_t *p;
    size_t at;
    size_t cost, limit;
    struct frame stack[OCT_ONNX_DEPTH];
    int depth;
};

static bool bad(struct scan *s, const char *what) {
    struct oct_text where;
    oct_text_init(&where, oct_own(s->cx));
    for (int i = 0; i < s->depth && i < 8; i++) oct_text_addf(&where, i ? ".%s" : "%s", s->stack[i].m->name);
    oct_error(s->cx, s->span, OCT_E3001, "malformed ONNX file: %s at byte %zu, in %s", what, s->at, where.s);
    oct_help(s->cx, "the file is damaged or is no ONNX model; export or copy it again");
    return false;
}

static bool add_cost(struct scan *s, size_t bytes) {
    s->cost = bytes > s->limit ? s->limit + 1 : s->cost + bytes; /* one file's sums stay far below SIZE_MAX */
    if (s->cost <= s->limit) return true;
    oct_error(s->cx, s->span, OCT_E3002, "unpacking this ONNX file would take more than %zu bytes of memory", s->limit);
    oct_help(s->cx, "real models take little more than their own size; this one consists of very many empty parts");
    return false;
}

/* A varint before `end`: at most ten bytes, and the tenth at most 1. */
static bool varint(struct scan *s, size_t end, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (s->at >= end) return bad(s, "a number is cut off");
        uint8_t b = s->p[s->at++];
        if (shift == 63 && b > 1) return bad(s, "a number does not fit 64 bits");
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) {
            *out = v;
            return true;
        }
    }
    return bad(s, "a number does not fit 64 bits"); /* not reached: the tenth byte ends it */
}

/* Elements of a packed field, which end where the field ends. */
static bool packed(struct scan *s, const struct field *f, size_t len, bool unpacked) {
    size_t end = s->at + len, n = 0, width = f->kind == K_F32 ? 4 : 8;
    if (f->kind == K_VARINT) {
        for (uint64_t v; s->at < end; n++)
            if (!varint(s, end, &v)) return false;
    } else {
        if (len % width) return bad(s, "packed numbers do not fill their field");
        n = len / width;
        s->at = end;
    }
    return !unpacked || add_cost(s, n * 8 + ROUND_COST);
}

static bool length_delimited(struct scan *s, struct frame *f, const struct field *field) {
    uint64_t len = 0;
    if (!varint(s, f->end, &len)) return false;
    if (len > f->end - s->at) return bad(s, "a length goes beyond the message that holds it");
    if (!field) {
        s->at += (size_t)len;
        return !f->unpacked || add_cost(s, (size_t)len + UNKNOWN_COST + ROUND_COST);
    }
    if (field->kind <= K_F64) {
        if (!field->many) return bad(s, "a field has the wrong wire type");
        return packed(s, field, (size_t)len, f->unpacked);
    }
    if (field->kind == K_MESSAGE) {
        if (s->depth == OCT_ONNX_DEPTH) return bad(s, "messages are nested too deeply");
        bool unpacked = f->unpacked && field->sub->size;
        if (f->unpacked && !add_cost(s, unpacked ? field->sub->size + ROUND_COST : (size_t)len + UNKNOWN_COST + ROUND_COST))
            return false;
        s->stack[s->depth++] = (struct frame){field->sub, s->at + (size_t)len, 0, unpacked};
        return true;
    }
    if (field->kind == K_STRING && memchr(s->p + s->at, 0, (size_t)len)) return bad(s, "a name holds a zero byte");
    s->at += (size_t)len;
    return !f->unpacked || add_cost(s, (size_t)len + ROUND_COST);
}

/* One field of the innermost message. */
static bool one_field(struct scan *s) {
    struct frame *f = &s->stack[s->depth - 1];
    uint64_t tag = 0, v;
    if (!varint(s, f->end, &tag)) return false;
    unsigned wire = tag & 7;
    if (tag >> 3 == 0 || tag >> 3 > 536870911) return bad(s, "a field has an impossible number");
    const struct field *field = f->m->fields;
    while (field->kind != K_END && field->number != tag >> 3) field++;
    if (field->kind == K_END) field = NULL;
    if (field && !field->many) {
        uint32_t bit = (uint32_t)1 << (field - f->m->fields);
        if (f->seen & bit) return bad(s, "a field is given twice");
        f->seen |= bit;
    }
    if (f->unpacked && !add_cost(s, FIELD_COST)) return false;
    if (wire == 2) return length_delimited(s, f, field);
    static const enum kind kind_of[8] = {K_VARINT, K_F64, K_END, K_END, K_END, K_F32, K_END, K_END};
    if (kind_of[wire] == K_END) return bad(s, "a field has an unknown wire type");
    if (field && field->kind != kind_of[wire]) return bad(s, "a field has the wrong wire type");
    if (!field && f->unpacked && !add_cost(s, UNKNOWN_COST + ROUND_COST)) return false;
    if (wire == 0) return varint(s, f->end, &v);
    size_t width = wire == 1 ? 8 : 4;
    if (f->end - s->at < width) return bad(s, "a number is cut off");
    s->at += width;
    return true;
}

bool oct_onnx_scan(struct oct_ctx *cx, struct oct_span span, struct oct_bytes file, size_t *memory) {
    struct scan *s = OCT_NEW(oct_own(cx), struct scan);
    *s = (struct scan){.cx = cx, .span = span, .p = file.data, .cost = sizeof(OctOnnx__Model)};
    s->limit = file.len > SIZE_MAX / 2 / OCT_ONNX_MEMORY_PER_BYTE ? SIZE_MAX / 2
                                                                  : OCT_ONNX_MEMORY_BASE + OCT_ONNX_MEMORY_PER_BYTE * file.len;
    s->stack[s->depth++] = (struct frame){&model, file.len, 0, true};
    while (s->depth) {
        if (s->at == s->stack[s->depth - 1].end) s->depth--;
        else if (!one_field(s)) return false;
    }
    *memory = s->cost;
    return true;
}
