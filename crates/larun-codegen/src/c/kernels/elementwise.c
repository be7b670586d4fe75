// [axes] needs signed_words
// Where two operands lie as common axes are walked: rank, then for each axis its length and the step of each operand.
typedef struct {
    const uint32_t *axes;
    uint32_t rank, index[6];
    int32_t at[2];
} larun_walk;

static larun_walk larun_walk_of(const uint32_t *plan) {
    larun_walk walk;
    memset(&walk, 0, sizeof walk);
    walk.rank = plan[0];
    walk.axes = plan + 1;
    return walk;
}

// Goes on to the next point; 0 behind the last.
static int larun_walk_on(larun_walk *walk) {
    uint32_t axis = walk->rank;
    while (axis-- > 0) {
        const uint32_t *words = walk->axes + 3 * axis;
        walk->at[0] += larun_i(words[1]);
        walk->at[1] += larun_i(words[2]);
        if (++walk->index[axis] < words[0]) return 1;
        walk->at[0] -= larun_i(words[1]) * (int32_t)words[0];
        walk->at[1] -= larun_i(words[2]) * (int32_t)words[0];
        walk->index[axis] = 0;
    }
    return 0;
}

// [behind_axes]
// What comes behind the axes in a plan.
static const uint32_t *larun_behind_axes(const uint32_t *plan) { return plan + 1 + 3 * plan[0]; }

// [sum_quantized] needs scale_below_one bound wrapping wrapping_sub signed_words
// ADD and SUB of quantised values. Plan: zero points, multipliers of inputs and output, zero point, bounds.
static int32_t larun_sum_quantized(const uint32_t *q, int32_t a, int32_t b, uint32_t left, int difference) {
    const int32_t x = larun_scale_below_one((int32_t)((uint32_t)larun_sub(a, larun_i(q[0])) << left), larun_i(q[2]), larun_i(q[3]));
    const int32_t y = larun_scale_below_one((int32_t)((uint32_t)larun_sub(b, larun_i(q[1])) << left), larun_i(q[4]), larun_i(q[5]));
    const int32_t sum = larun_scale_below_one(difference ? larun_sub(x, y) : larun_add(x, y), larun_i(q[6]), larun_i(q[7]));
    return larun_bound(larun_add(sum, larun_i(q[8])), larun_i(q[9]), larun_i(q[10]));
}

// [product_quantized] needs scale bound wrapping wrapping_sub wrapping_mul signed_words
// MUL of quantised values. Plan: zero points, multiplier, zero point, bounds.
static int32_t larun_product_quantized(const uint32_t *q, int32_t a, int32_t b) {
    const int32_t product = larun_mul(larun_sub(a, larun_i(q[0])), larun_sub(b, larun_i(q[1])));
    return larun_bound(larun_add(larun_scale(product, larun_i(q[2]), larun_i(q[3])), larun_i(q[4])), larun_i(q[5]), larun_i(q[6]));
}

// [pairs]
// An operator of two operands whose outputs follow each other: NAME, element type, expression of a, b and q.
#define LARUN_PAIRS(NAME, TYPE, RESULT)                                   \
    static void NAME(const larun_node *node) {                            \
        const uint32_t *q = larun_behind_axes(node->plan + 1);            \
        const TYPE *first = node->in[0], *second = node->in[1];           \
        TYPE *output = node->out[0];                                      \
        larun_walk walk = larun_walk_of(node->plan + 1);                  \
        (void)q;                                                          \
        do {                                                              \
            const TYPE a = first[walk.at[0]], b = second[walk.at[1]];     \
            *output++ = (TYPE)(RESULT);                                   \
        } while (larun_walk_on(&walk));                                   \
    }

// [add_i8] needs node alias axes behind_axes pairs sum_quantized
LARUN_PAIRS(larun_add_i8, larun_i8, larun_sum_quantized(q, a, b, 20, 0))

// [add_i16] needs node alias axes behind_axes pairs sum_quantized
LARUN_PAIRS(larun_add_i16, larun_i16, larun_sum_quantized(q, a, b, 15, 0))

// [add_i32] needs node alias axes behind_axes pairs wrapping bound signed_words
LARUN_PAIRS(larun_add_i32, larun_i32, larun_bound(larun_add(a, b), larun_i(q[0]), larun_i(q[1])))

// [add_f32] needs node alias axes behind_axes pairs clamp
LARUN_PAIRS(larun_add_f32, larun_f32, larun_clamp(a + b, q))

// [sub_i8] needs node alias axes behind_axes pairs sum_quantized
LARUN_PAIRS(larun_sub_i8, larun_i8, larun_sum_quantized(q, a, b, 20, 1))

// [sub_i16] needs node alias axes behind_axes pairs sum_quantized
LARUN_PAIRS(larun_sub_i16, larun_i16, larun_sum_quantized(q, a, b, 15, 1))

// [sub_i32] needs node alias axes behind_axes pairs wrapping_sub bound signed_words
LARUN_PAIRS(larun_sub_i32, larun_i32, larun_bound(larun_sub(a, b), larun_i(q[0]), larun_i(q[1])))

// [sub_f32] needs node alias axes behind_axes pairs clamp
LARUN_PAIRS(larun_sub_f32, larun_f32, larun_clamp(a - b, q))

// [mul_i8] needs node alias axes behind_axes pairs product_quantized
LARUN_PAIRS(larun_mul_i8, larun_i8, larun_product_quantized(q, a, b))

// [mul_i16] needs node alias axes behind_axes pairs product_quantized
LARUN_PAIRS(larun_mul_i16, larun_i16, larun_product_quantized(q, a, b))

// [mul_i32] needs node alias axes behind_axes pairs wrapping_mul bound signed_words
LARUN_PAIRS(larun_mul_i32, larun_i32, larun_bound(larun_mul(a, b), larun_i(q[0]), larun_i(q[1])))

// [mul_f32] needs node alias axes behind_axes pairs clamp
LARUN_PAIRS(larun_mul_f32, larun_f32, larun_clamp(a * b, q))

// [quotient]
// A quotient of integers: by zero, the end of the range that the dividend points to.
static int32_t larun_quotient(int32_t a, int32_t b) {
    if (b == 0) return a == 0 ? 0 : a > 0 ? INT32_MAX : INT32_MIN;
    if (b == -1) return (int32_t)(0u - (uint32_t)a);
    return a / b;
}

// [div_i32] needs node alias axes behind_axes pairs quotient bound signed_words
LARUN_PAIRS(larun_div_i32, larun_i32, larun_bound(larun_quotient(a, b), larun_i(q[0]), larun_i(q[1])))

// [div_f32] needs node alias axes behind_axes pairs clamp
LARUN_PAIRS(larun_div_f32, larun_f32, larun_clamp(a / b, q))

// [maximum_i8] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_maximum_i8, larun_i8, a > b ? a : b)

// [maximum_i16] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_maximum_i16, larun_i16, a > b ? a : b)

// [maximum_i32] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_maximum_i32, larun_i32, a > b ? a : b)

// [maximum_f32] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_maximum_f32, larun_f32, a > b ? a : b)

// [minimum_i8] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_minimum_i8, larun_i8, a < b ? a : b)

// [minimum_i16] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_minimum_i16, larun_i16, a < b ? a : b)

// [minimum_i32] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_minimum_i32, larun_i32, a < b ? a : b)

// [minimum_f32] needs node alias axes behind_axes pairs
LARUN_PAIRS(larun_minimum_f32, larun_f32, a < b ? a : b)

// [leaky] needs scale bound wrapping wrapping_sub signed_words
// LEAKY_RELU of quantised values. Plan: zero point, slopes above and below, whether that falls, zero point, bounds.
static int32_t larun_leaky(const uint32_t *q, int32_t value) {
    const int32_t x = larun_sub(value, larun_i(q[0]));
    int32_t scaled;
    if (x >= 0) {
        scaled = larun_scale(x, larun_i(q[1]), larun_i(q[2]));
    } else {
        scaled = larun_scale(x, larun_i(q[3]), larun_i(q[4]));
        if (q[5]) scaled = larun_sub(0, scaled);
    }
    return larun_bound(larun_add(scaled, larun_i(q[6])), larun_i(q[7]), larun_i(q[8]));
}

// [leaky_relu_i8] needs node alias leaky
static void larun_leaky_relu_i8(const larun_node *node) {
    const larun_i8 *input = node->in[0];
    larun_i8 *output = node->out[0];
    uint32_t i;
    for (i = 0; i < node->out_bytes[0]; ++i) output[i] = (int8_t)larun_leaky(node->plan + 1, input[i]);
}

// [leaky_relu_i16] needs node alias leaky
static void larun_leaky_relu_i16(const larun_node *node) {
    const larun_i16 *input = node->in[0];
    larun_i16 *output = node->out[0];
    uint32_t i;
    for (i = 0; i < node->out_bytes[0] / 2; ++i) output[i] = (int16_t)larun_leaky(node->plan + 1, input[i]);
}

// [leaky_relu_f32] needs node alias real_words
static void larun_leaky_relu_f32(const larun_node *node) {
    const float alpha = larun_f(node->plan[1]);
    const larun_f32 *input = node->in[0];
    larun_f32 *output = node->out[0];
    uint32_t i;
    for (i = 0; i < node->out_bytes[0] / 4; ++i) output[i] = input[i] > 0.0f ? input[i] : input[i] * alpha;
}

// [read_number] needs alias
// Element types, as the file format numbers them.
enum { LARUN_F32 = 0, LARUN_I32 = 2, LARUN_U8 = 3, LARUN_I64 = 4, LARUN_BOOL = 6, LARUN_I16 = 7, LARUN_I8 = 9, LARUN_U32 = 15, LARUN_U16 = 16 };

static uint32_t larun_width(uint32_t type) {
    switch (type) {
    case LARUN_I64: return 8;
    case LARUN_F32: case LARUN_I32: case LARUN_U32: return 4;
    case LARUN_I16: case LARUN_U16: return 2;
    default: return 1;
    }
}

static int64_t larun_read_number(uint32_t type, const void *values, uint32_t at) {
    switch (type) {
    case LARUN_I32: return ((const larun_i32 *)values)[at];
    case LARUN_U32: return ((const larun_u32 *)values)[at];
    case LARUN_I64: return ((const larun_i64 *)values)[at];
    case LARUN_I16: return ((const larun_i16 *)values)[at];
    case LARUN_U16: return (int64_t)((uint16_t)((const larun_i16 *)values)[at]);
    case LARUN_U8: return ((const larun_u8 *)values)[at];
    case LARUN_BOOL: return ((const larun_u8 *)values)[at] != 0;
    default: return ((const larun_i8 *)values)[at];
    }
}

// [write_number] needs read_number
static void larun_write_number(uint32_t type, void *values, uint32_t at, int64_t value) {
    switch (type) {
    case LARUN_I32: case LARUN_U32: ((larun_u32 *)values)[at] = (uint32_t)(uint64_t)value; break;
    case LARUN_I64: ((larun_i64 *)values)[at] = value; break;
    case LARUN_I16: case LARUN_U16: ((larun_i16 *)values)[at] = (int16_t)(uint16_t)(uint64_t)value; break;
    case LARUN_BOOL: ((larun_u8 *)values)[at] = value != 0; break;
    default: ((larun_u8 *)values)[at] = (uint8_t)(uint64_t)value; break;
    }
}

// [cast] needs node read_number write_number
// CAST. Plan: the types of input and output. Real numbers saturate, NaN becomes the largest.
static void larun_cast(const larun_node *node) {
    const uint32_t from = node->plan[0], to = node->plan[1], count = node->out_bytes[0] / larun_width(to);
    static const int64_t least[17] = {0, 0, INT32_MIN, 0, INT64_MIN, 0, 0, -32768, 0, -128, 0, 0, 0, 0, 0, 0, 0};
    static const int64_t most[17] = {0, 0, INT32_MAX, 255, INT64_MAX, 0, 1, 32767, 0, 127, 0, 0, 0, 0, 0, UINT32_MAX, 65535};
    uint32_t i;
    for (i = 0; i < count; ++i) {
        if (from == LARUN_F32) {
            const float x = ((const larun_f32 *)node->in[0])[i];
            int64_t value;
            if (to == LARUN_F32) {
                ((larun_f32 *)node->out[0])[i] = x;
                continue;
            }
            if (to == LARUN_BOOL) {
                value = x != 0.0f;
            } else if (!(x == x) || x >= (float)most[to]) {
                value = most[to];
            } else if (x <= (float)least[to]) {
                value = least[to];
            } else {
                value = (int64_t)x;
            }
            larun_write_number(to, node->out[0], i, value);
        } else {
            const int64_t value = larun_read_number(from, node->in[0], i);
            if (to == LARUN_F32) {
                ((larun_f32 *)node->out[0])[i] = (float)value;
            } else {
                larun_write_number(to, node->out[0], i, value);
            }
        }
    }
}

// [requantize] needs node read_number write_number scale wrapping wrapping_sub signed_words
// QUANTIZE of quantised values. Plan: types, zero point of the input, multiplier, zero point of the output.
static void larun_requantize(const larun_node *node) {
    const uint32_t *q = node->plan + 2, to = node->plan[1], count = node->out_bytes[0] / larun_width(to);
    const int64_t least = to == LARUN_I8 ? -128 : to == LARUN_U8 ? 0 : to == LARUN_I16 ? -32768 : INT32_MIN;
    const int64_t most = to == LARUN_I8 ? 127 : to == LARUN_U8 ? 255 : to == LARUN_I16 ? 32767 : INT32_MAX;
    uint32_t i;
    for (i = 0; i < count; ++i) {
        const int32_t x = (int32_t)larun_read_number(node->plan[0], node->in[0], i);
        int64_t value = larun_add(larun_scale(larun_sub(x, larun_i(q[0])), larun_i(q[1]), larun_i(q[2])), larun_i(q[3]));
        if (value > most) value = most;
        if (value < least) value = least;
        larun_write_number(to, node->out[0], i, value);
    }
}

// [table_i8] needs node alias
// A function of one INT8 by a table. Plan: type, 1, the table from -128 on.
static void larun_table_i8(const larun_node *node) {
    const larun_i8 *table = (const larun_i8 *)(node->plan + 2), *input = node->in[0];
    larun_i8 *output = node->out[0];
    uint32_t i;
    for (i = 0; i < node->out_bytes[0]; ++i) output[i] = table[(uint8_t)input[i] ^ 0x80u];
}

// [logistic_i8] needs node alias scale exp_negative reciprocal_half wrapping_sub signed_words
// LOGISTIC of INT8. Plan: type, 0, zero point, radius, multiplier.
static void larun_logistic_i8(const larun_node *node) {
    const uint32_t *q = node->plan + 2;
    const int32_t radius = larun_i(q[1]);
    const larun_i8 *input = node->in[0];
    larun_i8 *output = node->out[0];
    uint32_t i;
    for (i = 0; i < node->out_bytes[0]; ++i) {
        const int32_t x = larun_sub(input[i], larun_i(q[0]));
        int32_t value;
        if (x <= -radius || x >= radius) {
            output[i] = (int8_t)(x <= -radius ? -128 : 127);
            continue;
        }
        value = larun_scale(x, larun_i(q[2]), larun_i(q[3]));
        if (value == 0) {
            value = 1 << 30;
        } else {
            const int32_t above = larun_multiply_by_pot(larun_reciprocal_half(larun_exp_negative(value > 0 ? -value : value, 4)), 1);
            value = value > 0 ? above : larun_sub(INT32_MAX, above);
        }
        value = larun_rounding_shift(value, 23) - 128;
        output[i] = (int8_t)(value > 127 ? 127 : value);
    }
}

// [logistic_f32] needs node alias exp_real
static void larun_logistic_f32(const larun_node *node) {
    const larun_f32 *input = node->in[0];
    larun_f32 *output = node->out[0];
    uint32_t i;
    for (i = 0; i < node->out_bytes[0] / 4; ++i) {
        const float x = input[i];
        output[i] = x > 16.619047f ? 1.0f : x < -9.0f ? larun_exp(x) : 1.0f / (1.0f + larun_exp(-x));
    }
}

// [softmax_i8] needs node alias exp_negative reciprocal_half scale_above_one leading_zeros saturate16 wrapping signed_words
// SOFTMAX of INT8 to INT8 or INT16. Plan: type, depth, multiplier, least difference, whether outputs are INT16.
static void larun_softmax_i8(const larun_node *node) {
    const uint32_t depth = node->plan[1], count = node->in_bytes[0] / depth;
    const int32_t multiplier = larun_i(node->plan[2]), shift = larun_i(node->plan[3]), least = larun_i(node->plan[4]);
    const int wide = node->plan[5] != 0;
    const larun_i8 *row = node->in[0];
    uint32_t r, i;
    for (r = 0; r < count; ++r, row += depth) {
        int32_t largest = -128, sum = 0, zeros, significand, to_output;
        for (i = 0; i < depth; ++i) {
            if (row[i] > largest) largest = row[i];
        }
        for (i = 0; i < depth; ++i) {
            const int32_t difference = row[i] - largest;
            if (difference >= least) sum = larun_add(sum, larun_rounding_shift(larun_exp_negative(larun_scale_above_one(difference, multiplier, shift), 5), 12));
        }
        zeros = larun_leading_zeros((uint32_t)sum);
        significand = larun_multiply_by_pot(larun_reciprocal_half((int32_t)(((uint32_t)sum << (zeros & 31)) & UINT32_C(0x7FFFFFFF))), 1);
        to_output = 12 - zeros + 31 - (wide ? 16 : 8);
        for (i = 0; i < depth; ++i) {
            const int32_t difference = row[i] - largest;
            int32_t share = 0;
            if (difference >= least) share = larun_rounding_shift(larun_high_mul(significand, larun_exp_negative(larun_scale_above_one(difference, multiplier, shift), 5)), to_output);
            if (wide) {
                ((larun_i16 *)node->out[0])[r * depth + i] = larun_saturate16(share - 32768);
            } else {
                share -= 128;
                ((larun_i8 *)node->out[0])[r * depth + i] = (int8_t)(share > 127 ? 127 : share);
            }
        }
    }
}

// [softmax_f32] needs node alias exp_real real_words
// SOFTMAX of FLOAT32. Plan: type, depth, beta.
static void larun_softmax_f32(const larun_node *node) {
    const uint32_t depth = node->plan[1], count = node->out_bytes[0] / 4 / depth;
    const float beta = larun_f(node->plan[2]);
    const larun_f32 *row = node->in[0];
    larun_f32 *output = node->out[0];
    uint32_t r, i;
    for (r = 0; r < count; ++r, row += depth, output += depth) {
        float largest = -3.40282347e+38f, sum = 0.0f;
        for (i = 0; i < depth; ++i) {
            if (largest < row[i]) largest = row[i];
        }
        for (i = 0; i < depth; ++i) {
            output[i] = larun_exp((row[i] - largest) * beta);
            sum += output[i];
        }
        for (i = 0; i < depth; ++i) output[i] /= sum;
    }
}

// [mean_i8] needs node alias scale bound wrapping wrapping_sub signed_words
// MEAN of INT8. Plan: type, kept axes, reduced axes (rank, then length and step of each), offset, multiplier, output stage.
static uint32_t larun_point(const uint32_t *axes, uint32_t number) {
    uint32_t axis = axes[0], at = 0;
    while (axis-- > 0) {
        at += number % axes[1 + 2 * axis] * axes[2 + 2 * axis];
        number /= axes[1 + 2 * axis];
    }
    return at;
}

static void larun_mean_i8(const larun_node *node) {
    const uint32_t *kept = node->plan + 1, *reduced = kept + 1 + 2 * kept[0], *q = reduced + 1 + 2 * reduced[0];
    const larun_i8 *input = node->in[0];
    larun_i8 *output = node->out[0];
    uint32_t count = 1, i, j;
    for (i = 0; i < reduced[0]; ++i) count *= reduced[1 + 2 * i];
    for (i = 0; i < node->out_bytes[0]; ++i) {
        const uint32_t at = larun_point(kept, i);
        int32_t sum = 0;
        for (j = 0; j < count; ++j) sum += input[at + larun_point(reduced, j)];
        sum = larun_scale(larun_sub(sum, larun_i(q[0])), larun_i(q[1]), larun_i(q[2]));
        output[i] = (int8_t)larun_bound(larun_add(sum, larun_i(q[3])), larun_i(q[4]), larun_i(q[5]));
    }
}
