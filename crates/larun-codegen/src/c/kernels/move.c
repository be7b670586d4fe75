// [copy] needs node
// Operators that leave the bytes of their input as they are, at another place.
static void larun_copy(const larun_node *node) { memmove(node->out[0], node->in[0], node->out_bytes[0]); }

// [transfer] needs axes
// Copies runs of bytes. Plan: bytes of a run, where output and input start, axes.
static void larun_transfer(const uint32_t *plan, void *output, const void *input) {
    larun_walk walk = larun_walk_of(plan + 3);
    uint32_t axis;
    for (axis = 0; axis < walk.rank; ++axis) {
        if (walk.axes[3 * axis] == 0) return;
    }
    do {
        memcpy((char *)output + larun_i(plan[1]) + walk.at[0], (const char *)input + larun_i(plan[2]) + walk.at[1], plan[0]);
    } while (larun_walk_on(&walk));
}

// [strided_slice] needs node transfer
static void larun_strided_slice(const larun_node *node) { larun_transfer(node->plan, node->out[0], node->in[0]); }

// [pad] needs node transfer
// PAD. Plan: four bytes of padding, the transfer.
static void larun_pad(const larun_node *node) {
    uint8_t zeros[4];
    uint32_t i;
    memcpy(zeros, node->plan, sizeof zeros);
    for (i = 0; i < node->out_bytes[0]; ++i) ((uint8_t *)node->out[0])[i] = zeros[i & 3];
    larun_transfer(node->plan + 1, node->out[0], node->in[0]);
}

// [concatenation] needs node
// CONCATENATION. Plan: how many inputs, bytes of a run of each.
static void larun_concatenation(const larun_node *node) {
    uint32_t stride = 0, start = 0, input, at;
    for (input = 0; input < node->plan[0]; ++input) stride += node->plan[1 + input];
    for (input = 0; input < node->plan[0]; ++input) {
        const uint32_t run = node->plan[1 + input];
        const char *from = node->in[input];
        for (at = start; run && at < node->out_bytes[0]; at += stride, from += run) memcpy((char *)node->out[0] + at, from, run);
        start += run;
    }
}
