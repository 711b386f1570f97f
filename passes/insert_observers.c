/* insert_observers.c - `y.obs = observe(y)` behind every value that an integer op will make or read.
 * Requires shapes; wants fuse_act before it (a fused activation leaves one value to observe instead of two). Writes into each
 * observe what calibrate and insert_qdq need: observer, element type, scheme, as the rules say for the value's producer (or, for
 * a float producer, its first integer consumer). Values that hand-placed quantize ops already govern are left alone, and so are
 * results of ops that share their operand's parameters. */
#include "rewrite.h"

/* Of node->mark: an integer op makes or reads it; a hand-placed quantize reads it or made it; products of it are summed over its
 * channels. Above them the node's number. */
enum { WANTED = 1, GOVERNED = 2, FLAGS = WANTED | GOVERNED, SUMMED = 4, NUMBER_AT = 3 };

/* What the words of QRULE(act) and its neighbours mean, in their order. */
static const enum oct_dtype act_dtype[] = {OCT_I8, OCT_U8, OCT_I16, OCT_F32, OCT_F32};
static const enum oct_scheme act_scheme[] = {OCT_scheme_asym, OCT_scheme_sym, OCT_scheme_full, OCT_scheme_pot};
enum { RANGE_FULL, RANGE_REDUCED, RANGE_NARROW };

/* Ops without an integer form, and those that only place or carry codes. */
static bool has_integer_form(const struct oct_node *n) {
    return n->op != OCT_OP_input && n->op != OCT_OP_const && !oct_has_flag(n, OCT_QDQ | OCT_FLOAT_ONLY);
}

static bool will_be_integer(const struct oct_module *m, const struct oct_node *n) {
    return has_integer_form(n) && !oct_kept_float(m, n);
}

/* Does its integer form keep a promise about its codes? */
static bool clips_codes(const struct oct_node *n) {
    return oct_takes(n, OCT_A_clip) && n->op != OCT_OP_clip && !oct_has_flag(n, OCT_QDQ);
}

static struct oct_node *observe(struct oct_module *m, struct oct_node *n, const struct oct_qconfig *rule) {
    struct oct_attrs at;
    oct_attrs_init(&at);
    OCT_SET(at, observer, rule->act_observer);
    if (rule->act_param != 0) OCT_SET(at, param, rule->act_param);
    OCT_SET(at, to, act_dtype[rule->act]);
    OCT_SET(at, scheme, act_scheme[rule->act_scheme]);
    if (rule->act_range == RANGE_REDUCED && (n->mark & SUMMED) && oct_dtype_size(at.to) == 1 && clips_codes(n))
        OCT_SET(at, reduced, true);
    if (rule->act_range == RANGE_NARROW && clips_codes(n)) OCT_SET(at, narrow, true);
    if (rule->act_bits > 0 && rule->act_bits < 8 * (float)oct_dtype_size(at.to) && clips_codes(n))
        OCT_SET(at, bits, (int64_t)rule->act_bits);
    const char *name = oct_fresh_value_name(m, oct_sprintf(m->arena, "%s.obs", n->name));
    return oct_build(m, OCT_OP_observe, name, &n, 1, &at, NULL, n->span);
}

bool oct_pass_insert_observers(struct oct_pass_env *env, struct oct_module *m) {
    if (m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    /* Who governs a value already, and who reads it as an integer: of each the first, whose rules serve where the producer is
     * float. Only float values matter; constants are quantized from their own values. */
    struct oct_node **const reader = OCT_NEW_N(env->scratch, struct oct_node *, m->nnodes);
    uint32_t number = 0;
    OCT_FOR_NODES(m, n) n->mark = number++ << NUMBER_AT, oct_note_origin(m, n);
    OCT_FOR_NODES(m, n) {
        if (n->op == OCT_OP_quantize || n->op == OCT_OP_observe) oct_origin(n->operand[0])->mark |= GOVERNED;
        if (n->op == OCT_OP_dequantize) n->mark |= GOVERNED;
        if (!will_be_integer(m, n)) continue;
        for (int i = 0; i < n->noperands; i++) {
            if (!n->operand[i] || n->operand[i]->op == OCT_OP_const) continue;
            struct oct_node *from = oct_origin(n->operand[i]), **first = &reader[from->mark >> NUMBER_AT];
            from->mark |= WANTED;
            if (!*first) *first = n;
        }
        if ((n->op == OCT_OP_conv2d && n->at.groups == 1) || n->op == OCT_OP_dense) oct_origin(n->operand[0])->mark |= SUMMED;
        if (!oct_has_flag(n, OCT_SHARESQ)) n->mark |= WANTED;
    }
    /* fwd serves as "later readers take this instead": resolved here, node by node, then cleared, since n itself stays. */
    for (struct oct_node *n = m->first, *next; n; n = next) {
        next = n->next;
        for (int i = 0; i < n->noperands; i++) n->operand[i] = oct_resolve(n->operand[i]);
        if (n->type.dtype != OCT_F32 || n->op == OCT_OP_const || (n->mark & FLAGS) != WANTED || oct_origin(n) != n) continue;
        const struct oct_node *by = will_be_integer(m, n) ? NULL : reader[n->mark >> NUMBER_AT];
        m->cursor = next;
        const struct oct_qconfig rule = oct_qconfig_for(m, by ? by : n);
        struct oct_node *o = observe(m, n, &rule);
        if (!o) return false;
        n->fwd = o;
        env->changes++;
    }
    for (uint32_t i = 0; i < m->noutputs; i++) m->output[i].node = oct_resolve(m->output[i].node);
    OCT_FOR_NODES(m, n) n->fwd = NULL;
    m->cursor = NULL;
    return true;
}
