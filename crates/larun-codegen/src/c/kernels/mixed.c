// [layer] needs node alias signed_words real_words
// A layer with integer weights that is not INT8 throughout. Scheme: values, finish, bias, whether weights are INT4.
enum { LARUN_VALUES_I8 = 0, LARUN_VALUES_I16 = 1, LARUN_VALUES_F32 = 2 };
enum { LARUN_NARROW = 0, LARUN_WIDE = 1, LARUN_SYMMETRIC = 3, LARUN_ASYMMETRIC = 4 };
enum { LARUN_BIAS_I16 = 0, LARUN_BIAS_I32 = 1, LARUN_BIAS_I64 = 2, LARUN_BIAS_F32 = 3 };
typedef struct {
    const uint32_t *scheme, *quantization;
    const void *bias;
    void *output;
    uint32_t at;
    float input_scale, input_factor;
    int32_t zero_point, least;
} larun_layer;

// [layer_dynamic] needs layer round
// Quantises a batch of real values: its scale, and the zero point where that is not 0.
static void larun_layer_dynamic(larun_layer *layer, const larun_f32 *values, uint32_t count) {
    float min = count ? values[0] : 0.0f, max = min;
    uint32_t i;
    for (i = 0; i < count; ++i) {
        if (values[i] < min) min = values[i];
        if (values[i] > max) max = values[i];
    }
    if (layer->scheme[1] == LARUN_SYMMETRIC) {
        const float low = min < 0 ? -min : min, high = max < 0 ? -max : max, most = low > high ? low : high;
        layer->input_scale = most == 0.0f ? 1.0f : most / 127.0f;
        layer->input_factor = most == 0.0f ? 0.0f : 127.0f / most;
        layer->zero_point = 0;
        layer->least = -127;
        return;
    }
    if (min > 0.0f) min = 0.0f;
    if (max < 0.0f) max = 0.0f;
    layer->least = -128;
    layer->input_scale = 1.0f;
    layer->input_factor = 1.0f;
    layer->zero_point = 0;
    if (min != max) {
        const double scale = (double)(max - min) / 255.0, below = (double)min / scale, above = (double)max / scale;
        double zero = 128.0 + (below < 0 ? -below : below) < 127.0 + (above < 0 ? -above : above) ? -128.0 - below : 127.0 - above;
        if (zero < -128.0) zero = -128.0;
        if (zero > 127.0) zero = 127.0;
        layer->zero_point = zero < 0 ? -(int32_t)(0.5 - zero) : (int32_t)(zero + 0.5);
        layer->input_scale = (float)scale;
        layer->input_factor = 1.0f / layer->input_scale;
    }
}

// [layer_value] needs layer round
// A value less its zero point.
static int16_t larun_layer_value(const larun_layer *layer, const void *values, uint32_t at) {
    int32_t steps;
    switch (layer->scheme[0]) {
    case LARUN_VALUES_I8: return (int16_t)(((const larun_i8 *)values)[at] - layer->zero_point);
    case LARUN_VALUES_I16: return ((const larun_i16 *)values)[at];
    default: break;
    }
    steps = larun_round(((const larun_f32 *)values)[at] * layer->input_factor);
    if (steps > 1024) steps = 1024;
    if (steps < -1024) steps = -1024;
    steps += layer->zero_point;
    if (steps > 127) steps = 127;
    if (steps < layer->least) steps = layer->least;
    return (int16_t)(steps - layer->zero_point);
}

// [layer_weight] needs layer
static int32_t larun_layer_weight(const larun_layer *layer, const larun_i8 *weights, uint32_t at) {
    if (!layer->scheme[3]) return weights[at];
    return at & 1 ? weights[at / 2] >> 4 : (int8_t)((uint8_t)weights[at / 2] << 4) >> 4;
}

// [layer_put] needs layer scale scale_wide bound clamp wrapping
// Makes the next output of a sum.
static void larun_layer_put(larun_layer *layer, uint32_t channel, int64_t sum) {
    const uint32_t *q = layer->quantization;
    uint32_t count, at;
    if (layer->scheme[0] == LARUN_VALUES_F32) {
        const larun_f32 *bias = layer->bias;
        float weight, scaled;
        count = q[3];
        weight = larun_f(q[4 + (count == 1 ? 0 : channel)]);
        scaled = q[2] ? (float)sum * (layer->input_scale * weight) : (float)sum * weight * layer->input_scale;
        ((larun_f32 *)layer->output)[layer->at++] = larun_clamp(scaled + (bias ? bias[channel] : 0.0f), q);
        return;
    }
    if (layer->bias) {
        switch (layer->scheme[2]) {
        case LARUN_BIAS_I16: sum += ((const larun_i16 *)layer->bias)[channel]; break;
        case LARUN_BIAS_I32: sum += ((const larun_i32 *)layer->bias)[channel]; break;
        default: sum += ((const larun_i64 *)layer->bias)[channel]; break;
        }
    }
    count = q[4];
    at = count == 1 ? 0 : channel;
    {
        const int32_t shift = ((const larun_i8 *)(q + 5 + count))[at], multiplier = larun_i(q[5 + at]);
        const int32_t scaled = layer->scheme[1] == LARUN_WIDE ? larun_scale_wide(sum, multiplier, shift) : larun_scale((int32_t)(uint32_t)(uint64_t)sum, multiplier, shift);
        const int32_t value = larun_bound(larun_add(scaled, larun_i(q[1])), larun_i(q[2]), larun_i(q[3]));
        if (layer->scheme[0] == LARUN_VALUES_I8) {
            ((larun_i8 *)layer->output)[layer->at++] = (int8_t)value;
        } else {
            ((larun_i16 *)layer->output)[layer->at++] = (int16_t)value;
        }
    }
}

// [layer_of] needs layer
static larun_layer larun_layer_of(const larun_node *node, const uint32_t *scheme, const uint32_t *quantization, uint32_t bias) {
    larun_layer layer;
    memset(&layer, 0, sizeof layer);
    layer.scheme = scheme;
    layer.quantization = quantization;
    layer.bias = node->in[bias];
    layer.output = node->out[0];
    if (scheme[0] == LARUN_VALUES_I8) layer.zero_point = larun_i(quantization[0]);
    return layer;
}

// [dense_mixed] needs layer_of layer_dynamic layer_value layer_weight layer_put
// FULLY_CONNECTED of other types. Plan: 2, scheme, batch, inputs, units, quantisation.
static void larun_dense_mixed(const larun_node *node) {
    const uint32_t *scheme = node->plan + 1, *sizes = scheme + 4, inputs = sizes[1], units = sizes[2];
    larun_layer layer = larun_layer_of(node, scheme, sizes + 3, 2);
    larun_i16 *row = node->scratch;
    uint32_t batch, unit, i;
    for (batch = 0; batch < sizes[0]; ++batch) {
        if (scheme[0] == LARUN_VALUES_F32) larun_layer_dynamic(&layer, (const larun_f32 *)node->in[0] + batch * inputs, inputs);
        for (i = 0; i < inputs; ++i) row[i] = larun_layer_value(&layer, node->in[0], batch * inputs + i);
        for (unit = 0; unit < units; ++unit) {
            int64_t sum = 0;
            for (i = 0; i < inputs; ++i) sum += row[i] * larun_layer_weight(&layer, node->in[1], unit * inputs + i);
            larun_layer_put(&layer, unit, sum);
        }
    }
}

// [conv_mixed] needs layer_of layer_dynamic layer_value layer_weight layer_put taps window
// CONV_2D of other types. Plan: 2, scheme, window, filter depth, quantisation.
static void larun_conv_mixed(const larun_node *node) {
    const uint32_t *scheme = node->plan + 1, *window = scheme + 4;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS;
    const uint32_t depth = window[LARUN_WINDOW_WORDS], channels = window[LARUN_OUT_CHANNELS], inputs = window[LARUN_IN_CHANNELS];
    const uint32_t groups = inputs / depth, in_group = channels / groups, len = rows[2] * columns[2] * depth, image = rows[0] * columns[0] * inputs;
    larun_layer layer = larun_layer_of(node, scheme, window + LARUN_WINDOW_WORDS + 1, 2);
    larun_i16 *patch = node->scratch;
    uint32_t batch, y, x, group, channel, i, j, k;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch) {
        if (scheme[0] == LARUN_VALUES_F32) larun_layer_dynamic(&layer, (const larun_f32 *)node->in[0] + batch * image, image);
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (group = 0; group < groups; ++group) {
                    for (i = 0; i < len; ++i) patch[i] = 0;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const uint32_t pixel = batch * image + ((down.input + i * rows[4]) * columns[0] + across.input + j * columns[4]) * inputs + group * depth;
                            const uint32_t place = ((down.first + i) * columns[2] + across.first + j) * depth;
                            for (k = 0; k < depth; ++k) patch[place + k] = larun_layer_value(&layer, node->in[0], pixel + k);
                        }
                    }
                    for (channel = group * in_group; channel < (group + 1) * in_group; ++channel) {
                        int64_t sum = 0;
                        for (i = 0; i < len; ++i) sum += patch[i] * larun_layer_weight(&layer, node->in[1], channel * len + i);
                        larun_layer_put(&layer, channel, sum);
                    }
                }
            }
        }
    }
}

// [depthwise_mixed] needs layer_of layer_dynamic layer_value layer_weight layer_put taps window
// DEPTHWISE_CONV_2D of other types. Plan: 2, scheme, window, quantisation.
static void larun_depthwise_mixed(const larun_node *node) {
    const uint32_t *scheme = node->plan + 1, *window = scheme + 4;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS;
    const uint32_t channels = window[LARUN_OUT_CHANNELS], inputs = window[LARUN_IN_CHANNELS], multiplier = channels / inputs, image = rows[0] * columns[0] * inputs;
    larun_layer layer = larun_layer_of(node, scheme, window + LARUN_WINDOW_WORDS, 2);
    uint32_t batch, y, x, channel, i, j;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch) {
        if (scheme[0] == LARUN_VALUES_F32) larun_layer_dynamic(&layer, (const larun_f32 *)node->in[0] + batch * image, image);
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    int64_t sum = 0;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const uint32_t pixel = (down.input + i * rows[4]) * columns[0] + across.input + j * columns[4];
                            const uint32_t tap = (down.first + i) * columns[2] + across.first + j;
                            sum += larun_layer_value(&layer, node->in[0], batch * image + pixel * inputs + channel / multiplier) * larun_layer_weight(&layer, node->in[1], tap * channels + channel);
                        }
                    }
                    larun_layer_put(&layer, channel, sum);
                }
            }
        }
    }
}

// [transpose_taps]
// The input elements that reach an output, first and end. The plan of an axis: input, output, filter, stride, pad.
static void larun_transpose_taps(const uint32_t *axis, uint32_t at, uint32_t *first, uint32_t *end) {
    const uint32_t place = at + axis[4], stride = axis[3], reach = axis[2] - 1;
    *first = ((place > reach ? place - reach : 0) + stride - 1) / stride;
    *end = place / stride + 1 < axis[0] ? place / stride + 1 : axis[0];
}

// [transpose_conv] needs layer_of layer_dynamic layer_value layer_weight layer_put transpose_taps
// TRANSPOSE_CONV with integer weights. Plan: 0, or 2 and the scheme; batch, rows, columns, channels, quantisation.
static void larun_transpose_conv(const larun_node *node) {
    static const uint32_t int8[4] = {LARUN_VALUES_I8, LARUN_NARROW, LARUN_BIAS_I32, 0};
    const uint32_t mixed = node->plan[0] == 2;
    const uint32_t *scheme = mixed ? node->plan + 1 : int8, *sizes = node->plan + (mixed ? 5 : 1);
    const uint32_t *rows = sizes + 1, *columns = sizes + 6, depth = sizes[11], channels = sizes[12], image = rows[0] * columns[0] * depth;
    larun_layer layer = larun_layer_of(node, scheme, sizes + 13, 3);
    uint32_t batch, y, x, channel, i, j, k, top, bottom, left, right;
    for (batch = 0; batch < sizes[0]; ++batch) {
        if (scheme[0] == LARUN_VALUES_F32) larun_layer_dynamic(&layer, (const larun_f32 *)node->in[2] + batch * image, image);
        for (y = 0; y < rows[1]; ++y) {
            larun_transpose_taps(rows, y, &top, &bottom);
            for (x = 0; x < columns[1]; ++x) {
                larun_transpose_taps(columns, x, &left, &right);
                for (channel = 0; channel < channels; ++channel) {
                    int64_t sum = 0;
                    for (i = top; i < bottom; ++i) {
                        for (j = left; j < right; ++j) {
                            const uint32_t tap_y = y + rows[4] - i * rows[3], tap_x = x + columns[4] - j * columns[3];
                            const uint32_t weights = ((channel * rows[2] + tap_y) * columns[2] + tap_x) * depth;
                            const uint32_t pixel = batch * image + (i * columns[0] + j) * depth;
                            for (k = 0; k < depth; ++k) sum += larun_layer_value(&layer, node->in[2], pixel + k) * larun_layer_weight(&layer, node->in[1], weights + k);
                        }
                    }
                    larun_layer_put(&layer, channel, sum);
                }
            }
        }
    }
}
