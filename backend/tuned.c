/* tuned.c - see tuned.h. */
#include "tuned.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/kernels.h"

static void add_numbers(struct oct_text *t, const char *before, int n, const int64_t *v, const char *behind) {
    for (int i = 0; i < n; i++) oct_text_addf(t, "%s%" PRId64, i ? "," : before, v[i]);
    oct_text_add(t, behind);
}
static void add_type(struct oct_text *t, const char *before, const struct oct_type *type) {
    oct_text_addf(t, "%s%s", before, oct_dtype_name(type->dtype));
    add_numbers(t, "[", type->rank, type->dim, "]");
}
/* Images whose channels are no neighbours in memory are another shape of layer. */
static void add_layout(struct oct_text *t, const char *what, const struct oct_layout *at) {
    if (at->rank == 4 && at->dim[1] > 1 && at->stride[1] != 1) oct_text_addf(t, " %s", what);
}

const char *oct_tuned_key(struct oct_arena *a, const struct oct_kbuild *b) {
    static const struct {
        enum oct_attr_id id;
        int numbers;
    } windows[] = {{OCT_A_pad, 4}, {OCT_A_stride, 2}, {OCT_A_dilation, 2}, {OCT_A_groups, 1}, {OCT_A_kernel, 2}};
    struct oct_text text, *t = &text;
    const struct oct_node *n = b->node;
    oct_text_init(t, a);
    oct_text_add(t, oct_op_info(n->op)->name);
    for (int i = 0; i < b->nin; i++)
        if (b->in[i].node) add_type(t, " ", &b->in[i].node->type);
    add_type(t, " -> ", &n->type);
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        const struct oct_attr_info *info = oct_attr_info(windows[i].id);
        if (!(n->at.set >> windows[i].id & 1)) continue;
        oct_text_addf(t, " %s=", info->name);
        add_numbers(t, "", windows[i].numbers, (const int64_t *)(const void *)((const char *)&n->at + info->offset), "");
    }
    if (n->type.q) oct_text_addf(t, " %s", oct_attr_info(OCT_A_profile)->words[n->at.profile]);
    for (int i = 0; i < b->nin; i++)
        if (b->in[i].node && b->in[i].node->op != OCT_OP_const) add_layout(t, "from planes", &b->in[i].at);
    add_layout(t, "to planes", &b->out.at);
    return t->s;
}

double oct_tuned_ceiling(const struct oct_tuned *t, const char *steps) {
    for (int i = 0; i < t->nceilings; i++)
        if (strcmp(t->ceiling[i].steps, steps) == 0) return t->ceiling[i].gmacs;
    return 0;
}
double oct_tuned_us(const struct oct_tuned_layer *l, const char *way) {
    for (int i = 0; i < l->nways; i++)
        if (strcmp(l->way[i].text, way) == 0) return l->way[i].us;
    return 0;
}

/* The first layer whose key is not less. */
static int place_of(const struct oct_tuned *t, const char *key) {
    int from = 0, to = t->nlayers;
    while (from < to) {
        const int mid = from + (to - from) / 2;
        if (strcmp(t->layer[mid]->key, key) < 0) from = mid + 1;
        else to = mid;
    }
    return from;
}
struct oct_tuned_layer *oct_tuned_find(const struct oct_tuned *t, const char *key) {
    const int i = place_of(t, key);
    return i < t->nlayers && strcmp(t->layer[i]->key, key) == 0 ? t->layer[i] : NULL;
}

struct oct_tuned_layer *oct_tuned_add(struct oct_tuned *t, struct oct_arena *a, const char *key, int ways) {
    if (oct_tuned_find(t, key)) return NULL;
    const int i = place_of(t, key);
    if (t->nlayers == t->room) {
        struct oct_tuned_layer **more = OCT_NEW_N(a, struct oct_tuned_layer *, t->room = 2 * t->room + 32);
        if (t->nlayers) memcpy(more, t->layer, sizeof *more * (size_t)t->nlayers);
        t->layer = more;
    }
    memmove(t->layer + i + 1, t->layer + i, sizeof *t->layer * (size_t)(t->nlayers - i));
    struct oct_tuned_layer *l = t->layer[i] = OCT_NEW(a, struct oct_tuned_layer);
    t->nlayers++;
    *l = (struct oct_tuned_layer){.key = key, .way = OCT_NEW_N(a, struct oct_tuned_way, ways)};
    return l;
}
