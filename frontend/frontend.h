/* frontend.h - everything that reads bytes of a model or of its data, and writes them back. Nothing else parses bytes.
 * All input is hostile: every reader reports one clean diagnostic, within bounded time and memory, and returns NULL or false. */
#ifndef OCT_FRONTEND_H
#define OCT_FRONTEND_H

#include "../ir/ir.h"
#include "../ir/stats.h"

/* ---- files (file.c): the one safe open -------------------------------------------------------------------------- */

struct oct_bytes {
    const uint8_t *data;
    size_t len;
};
/* Maps or reads a file that the user named ("-": stdin), for the life of the context. Regular files only, unless stdin.
 * Missing: exit 66; unreadable: exit 74. */
bool oct_read_file(struct oct_ctx *cx, const char *path, struct oct_bytes *out);
/* The same of a file that is read piece by piece: what oct_file_fetch copies out of bytes is read, not mapped, so that who goes
 * through a large file once takes no more memory for a larger one. From any thread. */
struct oct_file {
    struct oct_bytes bytes;
    bool open; /* fd is open, for the life of the context; else the bytes lie in memory */
    int fd;
};
bool oct_open_file(struct oct_ctx *cx, const char *path, struct oct_file *out);
void oct_file_fetch(const struct oct_file *f, const void *from, size_t len, void *to);
void oct_file_forget(const struct oct_file *f); /* pages of bytes that were touched leave memory; they can be read again */
/* Opens `name`, which a model file mentions, strictly beneath the folder of `model_path`: no "..", no absolute path, no symlink
 * anywhere, regular file, one link (openat2 RESOLVE_BENEATH | NO_SYMLINKS, with a checked walk where the kernel lacks it). */
bool oct_read_beneath(struct oct_ctx *cx, const char *model_path, const char *name, struct oct_span at, struct oct_bytes *out);

/* A set of output files that appear all or not at all: written to temporary names in the target folder, then renamed by
 * oct_outputs_commit. On an error, an abort or a signal the temporaries go. "-" writes to stdout at commit. */
struct oct_outputs;
struct oct_outputs *oct_outputs_new(struct oct_ctx *cx);
bool oct_outputs_add(struct oct_outputs *o, const char *path, const void *data, size_t len); /* data is not copied; lives until commit */
/* A folder that commit makes when it is missing (its parent must exist), and removes again when it fails. */
bool oct_outputs_dir(struct oct_outputs *o, const char *path);
bool oct_outputs_commit(struct oct_outputs *o);

/* ---- the language (lexer.l, parser.y, language.c) ------------------------------------------------------------------ */

/* Parses text; weights files it names are read from beneath the folder of `path` (NULL: none may be named). Every successful
 * parse is followed by shape inference and the verifier. */
struct oct_module *oct_parse(struct oct_ctx *cx, const char *path, const char *text, size_t len);

/* ---- safetensors (safetensors.c) -------------------------------------------------------------------------------------- */

struct oct_st_tensor {
    const char *name;
    enum oct_dtype dtype;
    int rank;
    int64_t dim[OCT_MAX_RANK];
    const void *data;      /* into the file's bytes */
    size_t bytes;
};
struct oct_safetensors {
    struct oct_st_tensor *tensor; /* sorted by name */
    uint32_t n;
};
bool oct_safetensors_read(struct oct_ctx *cx, struct oct_arena *a, struct oct_bytes file, const char *name, struct oct_safetensors *out);
const struct oct_st_tensor *oct_safetensors_find(const struct oct_safetensors *s, const char *name);
/* Serialises tensors in the given order, deterministic bytes, data 64-aligned. */
void oct_safetensors_write(struct oct_text *out, const struct oct_st_tensor *t, uint32_t n);

/* ---- whole models (model_file.c, onnx.c, tflite.c) ------------------------------------------------------------------------ */

/* Reads MODEL: .8vo text, ONNX or TFLite, told apart by content. `profile`: a word of option profile, for the module; -1: what the
 * model says (TFLite: tflite_ref). */
struct oct_module *oct_read_model(struct oct_ctx *cx, const char *path, int profile);
struct oct_module *oct_import_onnx(struct oct_ctx *cx, const char *path, struct oct_bytes file);
/* Integer ops get the profile, by op, that `profile` (a word of option profile) says. */
struct oct_module *oct_import_tflite(struct oct_ctx *cx, const char *path, struct oct_bytes file, int profile);
/* Queues PATH.8vo and, when there are constants for it, the .safetensors beside it. */
bool oct_write_model(struct oct_outputs *o, const struct oct_module *m, const char *path);
/* Collects dumps that share one content-addressed weights file `store.safetensors`. */
struct oct_dumps;
struct oct_dumps *oct_dumps_new(struct oct_ctx *cx, struct oct_outputs *o, const char *dir);
bool oct_dumps_add(struct oct_dumps *d, const struct oct_module *m, const char *file_name);
bool oct_dumps_finish(struct oct_dumps *d);

/* ---- data (npy.c, data.c) ------------------------------------------------------------------------------------------------ */

enum oct_npy_type { OCT_NPY_F32, OCT_NPY_F64, OCT_NPY_I8, OCT_NPY_U8, OCT_NPY_I16, OCT_NPY_I32, OCT_NPY_I64, OCT_NPY_TYPE_COUNT };
struct oct_array {
    enum oct_npy_type type;
    int rank;
    int64_t dim[OCT_MAX_RANK];
    const void *data;      /* C order, little-endian */
    struct oct_file file;  /* that data lie in, when it is open; else they lie in memory */
    const char *name;      /* file it came from, for messages */
};
bool oct_npy_read(struct oct_ctx *cx, struct oct_arena *a, const char *path, struct oct_array *out);
bool oct_npy_parse(struct oct_ctx *cx, struct oct_bytes file, const char *name, struct oct_array *out);
void oct_npy_write(struct oct_text *out, const struct oct_array *x);
/* Data for one model input: checks that dim[1..] equal the input's (axis 0 is the samples), converts f64/f32/u8/i8/i64 to the
 * input's dtype, run by run as they are read; a lossy conversion warns with how many elements change; float data for a quantized
 * input is quantized with its parameters (with a note). *samples gets dim[0]. */
struct oct_input_data;
bool oct_data_fit(struct oct_ctx *cx, struct oct_arena *a, const struct oct_array *x, const struct oct_node *input,
                  struct oct_input_data *out, int64_t *samples);
/* Leaves samples [from, to) of axis 0, 0 <= from < to <= dim[0]. */
void oct_array_slice(struct oct_array *x, int64_t from, int64_t to);

/* ---- quantization rules and statistics (qconfig.c, stats_file.c) ----------------------------------------------------------- */

/* Appends the rules of a JSON file to the module, in the file's order:
 *   {"default": {FIELD: WORD, ...}, "rules": [{"op": NAME, FIELD: WORD, ...}, {"name": GLOB, FIELD: WORD, ...}, ...]}
 * Fields and words are those of ir/qconfig.def; "default" becomes `rule any`. */
bool oct_read_qconfig(struct oct_ctx *cx, const char *path, struct oct_module *m);

/* .stats files: text, one `value` line a histogram (docs/quantization.md). Reading adds to *out by merging. */
bool oct_stats_parse(struct oct_ctx *cx, struct oct_bytes file, const char *name, struct oct_stats *out);
void oct_stats_print(struct oct_text *out, const struct oct_stats *s);

#endif
