/* smooth.c - SmoothQuant (rule smooth=on of the op that makes the values; NUMERICS 7): where the second of two linear ops alone
 * reads what the first makes, channels with large values give some of their range to the weights that read them:
 *   s[j] = max|X[j]|^a / max|W2[:,j]|^(1-a),   W1[j,:] /= s[j],   b1[j] /= s[j],   W2[:,j] *= s[j],   a = rule smooth_alpha
 * where X is what the second op reads over the calibration data. Values then reach (max|X| max|W2|)^(1-a), the weights that read
 * them (max|X| max|W2|)^a: the same for a = 1/2. Links are taken from the last to the first: W2 has what its own outputs were
 * divided by when its columns are looked at, so both hold for all links of the smoothed model at once. The function computed
 * stays what it was. Channels that are zero (or next to it) on either side take the mean factor (geometric), so they keep their
 * place among the others.
 *
 * Requires data, and fuse_act: bounds that forbid it stand in clip. */
#include "channel_stats.h"
#include "scaling.h"

enum { OFF }; /* first word of QRULE(smooth) */

static void smooth(struct oct_pass_env *env, struct oct_scaling *work, const struct oct_link *l, const float *x) {
    const int64_t channels = l->from.outs;
    const double alpha = (double)oct_qconfig_for(work->m, l->from.n).smooth_alpha;
    struct oct_scaled *a = oct_scaled_of(work, &l->from), *b = oct_scaled_of(work, &l->to);
    double *w = OCT_NEW_N(env->scratch, double, channels), *s = OCT_NEW_N(env->scratch, double, channels);
    oct_scaled_read(b, l->run, w);
    double most_x = 0, most_w = 0, logs = 0;
    for (int64_t c = 0; c < channels; c++) most_x = fmax(most_x, (double)x[c]), most_w = fmax(most_w, w[c]);
    int64_t live = 0;
    for (int64_t c = 0; c < channels; c++) {
        if ((double)x[c] <= most_x * OCT_DEAD_BELOW || w[c] <= most_w * OCT_DEAD_BELOW) continue;
        s[c] = pow((double)x[c], alpha) / pow(w[c], 1 - alpha);
        logs += log(s[c]);
        live++;
    }
    if (!live) return;
    double least = INFINITY, most = 0, after = 0, lowest = INFINITY, lowest_after = INFINITY;
    for (int64_t c = 0; c < channels; c++) {
        const bool dead = s[c] == 0;
        if (dead) s[c] = exp(logs / (double)live);
        oct_scaled_move(a, b, l->run, c, s[c]);
        if (dead) continue;
        least = fmin(least, s[c]), most = fmax(most, s[c]);
        after = fmax(after, (double)x[c] / s[c]);
        lowest = fmin(lowest, (double)x[c]), lowest_after = fmin(lowest_after, (double)x[c] / s[c]);
    }
    if (env->explain)
        oct_text_addf(
            env->explain,
            "smooth: %s: what it reads was divided by %.3g to %.3g: its channels reach from %.3g to %.3g, were %.3g to %.3g\n",
            l->to.n->name, least, most, lowest_after, after, lowest, most_x);
}

bool oct_pass_smooth(struct oct_pass_env *env, struct oct_module *m) {
    if (!m->nrules || m->option[OCT_OPT_quantize] == OCT_QUANTIZE_OFF) return true;
    struct oct_link *link = OCT_NEW_N(env->scratch, struct oct_link, m->nnodes);
    struct oct_channel_stats *x = OCT_NEW_N(env->scratch, struct oct_channel_stats, m->nnodes);
    uint32_t n = 0;
    oct_links_begin(m);
    OCT_FOR_NODES(m, node) {
        if (!oct_has_flag(node, OCT_LINEAR) || oct_qconfig_for(m, node).smooth == OFF) continue;
        struct oct_link *l = &link[n];
        const char *no = oct_link_from(m, node, l);
        if (no) {
            if (env->explain) oct_text_addf(env->explain, "smooth: %s: not smoothed for what reads it: %s\n", node->name, no);
            continue;
        }
        struct oct_node *read = oct_operand(l->to.n, 0);
        x[n++] = (struct oct_channel_stats){
            .value = read, .axis = oct_channel_axis(l->to.n, read), .channels = l->from.outs, .run = l->run};
    }
    if (!n) return true;
    if (!oct_channel_data(env, m, "smooth")) return false;
    struct oct_module *was = env->explain ? oct_module_clone(m, env->cx) : NULL;
    if (!oct_channel_maxima(env, m, x, n)) return false;
    struct oct_scaling work;
    oct_scaling_begin(&work, m, env->scratch);
    for (uint32_t i = n; i-- > 0;) smooth(env, &work, &link[i], x[i].most);
    oct_scaling_end(env, &work, "smooth", "smoothed");
    if (!was) return true;
    oct_explain_repair(env, "smooth", n, was, m);
    oct_module_free(was);
    return true;
}
