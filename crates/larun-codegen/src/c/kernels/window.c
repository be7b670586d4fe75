// [taps]
// The taps of a window that lie inside the input at one position: the first, how many, and the input element of the first.
typedef struct {
    uint32_t first, count, input;
} larun_taps;

// The plan of an axis: input, output, filter, stride, dilation, pad.
static larun_taps larun_taps_at(const uint32_t *axis, uint32_t at) {
    const uint32_t start = at * axis[3], pad = axis[5], dilation = axis[4];
    const uint32_t missing = pad > start ? pad - start : 0;
    larun_taps taps;
    uint32_t covered = 0;
    taps.first = (missing + dilation - 1) / dilation;
    taps.input = start - (pad < start ? pad : start) + taps.first * dilation - missing;
    if (axis[0] > taps.input) covered = (axis[0] - taps.input - 1) / dilation + 1;
    taps.count = taps.first < axis[2] ? axis[2] - taps.first : 0;
    if (covered < taps.count) taps.count = covered;
    return taps;
}

// [window]
// Words of the plan of windows over images: batch, rows, columns, input channels, output channels.
enum { LARUN_BATCH = 0, LARUN_ROWS = 1, LARUN_COLUMNS = 7, LARUN_IN_CHANNELS = 13, LARUN_OUT_CHANNELS = 14, LARUN_WINDOW_WORDS = 15 };

// [finish_i8] needs scale bound signed_words wrapping
// The end of an INT8 layer. Plan: input zero point, output zero point, bounds, count of multipliers, these, shifts.
static int8_t larun_finish_i8(const uint32_t *quantization, uint32_t channel, int32_t sum) {
    const uint32_t count = quantization[4], at = count == 1 ? 0 : channel;
    const larun_i8 *shifts = (const larun_i8 *)(quantization + 5 + count);
    const int32_t scaled = larun_scale(sum, larun_i(quantization[5 + at]), shifts[at]);
    return (int8_t)larun_bound(larun_add(scaled, larun_i(quantization[1])), larun_i(quantization[2]), larun_i(quantization[3]));
}

// [conv_i8] needs node alias taps window finish_i8 wrapping
// CONV_2D, INT8. Plan: scheme, window, filter depth, quantisation.
static void larun_conv_i8(const larun_node *node) {
    const uint32_t *window = node->plan + 1, *quantization = window + LARUN_WINDOW_WORDS + 1;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS;
    const uint32_t depth = window[LARUN_WINDOW_WORDS], channels = window[LARUN_OUT_CHANNELS], inputs = window[LARUN_IN_CHANNELS];
    const uint32_t in_group = channels / (inputs / depth), patch = rows[2] * columns[2] * depth;
    const int32_t zero_point = larun_i(quantization[0]);
    const larun_i8 *filters = node->in[1], *image = node->in[0];
    const larun_i32 *bias = node->in[2];
    larun_i8 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j, k;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * inputs) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    const larun_i8 *filter = filters + channel * patch;
                    const uint32_t first = channel / in_group * depth;
                    int32_t sum = bias ? bias[channel] : 0;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const larun_i8 *values = image + ((down.input + i * rows[4]) * columns[0] + across.input + j * columns[4]) * inputs + first;
                            const larun_i8 *weights = filter + ((down.first + i) * columns[2] + across.first + j) * depth;
                            for (k = 0; k < depth; ++k) sum = larun_add(sum, (values[k] - zero_point) * weights[k]);
                        }
                    }
                    *output++ = larun_finish_i8(quantization, channel, sum);
                }
            }
        }
    }
}

// [conv_f32] needs node alias taps window clamp
// CONV_2D, FLOAT32. Plan: scheme, window, filter depth, clamp.
static void larun_conv_f32(const larun_node *node) {
    const uint32_t *window = node->plan + 1, *bounds = window + LARUN_WINDOW_WORDS + 1;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS;
    const uint32_t depth = window[LARUN_WINDOW_WORDS], channels = window[LARUN_OUT_CHANNELS], inputs = window[LARUN_IN_CHANNELS];
    const uint32_t in_group = channels / (inputs / depth), patch = rows[2] * columns[2] * depth;
    const larun_f32 *filters = node->in[1], *image = node->in[0], *bias = node->in[2];
    larun_f32 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j, k;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * inputs) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    const larun_f32 *filter = filters + channel * patch;
                    const uint32_t first = channel / in_group * depth;
                    float sum = 0.0f;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const larun_f32 *values = image + ((down.input + i * rows[4]) * columns[0] + across.input + j * columns[4]) * inputs + first;
                            const larun_f32 *weights = filter + ((down.first + i) * columns[2] + across.first + j) * depth;
                            for (k = 0; k < depth; ++k) sum += values[k] * weights[k];
                        }
                    }
                    *output++ = larun_clamp(sum + (bias ? bias[channel] : 0.0f), bounds);
                }
            }
        }
    }
}

// [depthwise_i8] needs node alias taps window finish_i8 wrapping
// DEPTHWISE_CONV_2D, INT8. Plan: scheme, window, quantisation.
static void larun_depthwise_i8(const larun_node *node) {
    const uint32_t *window = node->plan + 1, *quantization = window + LARUN_WINDOW_WORDS;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS;
    const uint32_t channels = window[LARUN_OUT_CHANNELS], inputs = window[LARUN_IN_CHANNELS], multiplier = channels / inputs;
    const int32_t zero_point = larun_i(quantization[0]);
    const larun_i8 *filter = node->in[1], *image = node->in[0];
    const larun_i32 *bias = node->in[2];
    larun_i8 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * inputs) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    int32_t sum = bias ? bias[channel] : 0;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const uint32_t pixel = (down.input + i * rows[4]) * columns[0] + across.input + j * columns[4];
                            const uint32_t tap = (down.first + i) * columns[2] + across.first + j;
                            sum = larun_add(sum, (image[pixel * inputs + channel / multiplier] - zero_point) * filter[tap * channels + channel]);
                        }
                    }
                    *output++ = larun_finish_i8(quantization, channel, sum);
                }
            }
        }
    }
}

// [depthwise_f32] needs node alias taps window clamp
// DEPTHWISE_CONV_2D, FLOAT32. Plan: scheme, window, clamp.
static void larun_depthwise_f32(const larun_node *node) {
    const uint32_t *window = node->plan + 1, *bounds = window + LARUN_WINDOW_WORDS;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS;
    const uint32_t channels = window[LARUN_OUT_CHANNELS], inputs = window[LARUN_IN_CHANNELS], multiplier = channels / inputs;
    const larun_f32 *filter = node->in[1], *image = node->in[0], *bias = node->in[2];
    larun_f32 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * inputs) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    float sum = 0.0f;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const uint32_t pixel = (down.input + i * rows[4]) * columns[0] + across.input + j * columns[4];
                            const uint32_t tap = (down.first + i) * columns[2] + across.first + j;
                            sum += image[pixel * inputs + channel / multiplier] * filter[tap * channels + channel];
                        }
                    }
                    *output++ = larun_clamp(sum + (bias ? bias[channel] : 0.0f), bounds);
                }
            }
        }
    }
}

// [dense_i8] needs node alias finish_i8 wrapping
// FULLY_CONNECTED, INT8. Plan: scheme, batch, inputs, units, quantisation.
static void larun_dense_i8(const larun_node *node) {
    const uint32_t *plan = node->plan, inputs = plan[2], units = plan[3];
    const int32_t zero_point = larun_i(plan[4]);
    const larun_i8 *values = node->in[0];
    const larun_i32 *bias = node->in[2];
    larun_i8 *output = node->out[0];
    uint32_t batch, unit, i;
    for (batch = 0; batch < plan[1]; ++batch, values += inputs) {
        const larun_i8 *weights = node->in[1];
        for (unit = 0; unit < units; ++unit, weights += inputs) {
            int32_t sum = bias ? bias[unit] : 0;
            for (i = 0; i < inputs; ++i) sum = larun_add(sum, (values[i] - zero_point) * weights[i]);
            *output++ = larun_finish_i8(plan + 4, unit, sum);
        }
    }
}

// [dense_f32] needs node alias clamp
// FULLY_CONNECTED, FLOAT32. Plan: scheme, batch, inputs, units, clamp.
static void larun_dense_f32(const larun_node *node) {
    const uint32_t *plan = node->plan, inputs = plan[2], units = plan[3];
    const larun_f32 *values = node->in[0], *bias = node->in[2];
    larun_f32 *output = node->out[0];
    uint32_t batch, unit, i;
    for (batch = 0; batch < plan[1]; ++batch, values += inputs) {
        const larun_f32 *weights = node->in[1];
        for (unit = 0; unit < units; ++unit, weights += inputs) {
            float sum = 0.0f;
            for (i = 0; i < inputs; ++i) sum += values[i] * weights[i];
            *output++ = larun_clamp(sum + (bias ? bias[unit] : 0.0f), plan + 4);
        }
    }
}

// [average_pool_i8] needs node alias taps window bound signed_words
// AVERAGE_POOL_2D, INT8. Plan: type, window, zero point, bounds.
static void larun_average_pool_i8(const larun_node *node) {
    const uint32_t *window = node->plan + 1, *stage = window + LARUN_WINDOW_WORDS;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS, channels = window[LARUN_OUT_CHANNELS];
    const larun_i8 *image = node->in[0];
    larun_i8 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * channels) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                const int32_t count = (int32_t)(down.count * across.count);
                for (channel = 0; channel < channels; ++channel) {
                    int32_t sum = 0;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) sum += image[((down.input + i) * columns[0] + across.input + j) * channels + channel];
                    }
                    sum = count ? (sum + (sum < 0 ? -(count / 2) : count / 2)) / count : 0;
                    *output++ = (int8_t)larun_bound(sum, larun_i(stage[1]), larun_i(stage[2]));
                }
            }
        }
    }
}

// [average_pool_f32] needs node alias taps window clamp
// AVERAGE_POOL_2D, FLOAT32. Plan: type, window, clamp.
static void larun_average_pool_f32(const larun_node *node) {
    const uint32_t *window = node->plan + 1;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS, channels = window[LARUN_OUT_CHANNELS];
    const larun_f32 *image = node->in[0];
    larun_f32 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * channels) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    float sum = 0.0f;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) sum += image[((down.input + i) * columns[0] + across.input + j) * channels + channel];
                    }
                    *output++ = larun_clamp(sum / (float)(down.count * across.count), window + LARUN_WINDOW_WORDS);
                }
            }
        }
    }
}

// [max_pool_i8] needs node alias taps window bound signed_words
// MAX_POOL_2D, INT8. Plan: type, window, zero point, bounds.
static void larun_max_pool_i8(const larun_node *node) {
    const uint32_t *window = node->plan + 1, *stage = window + LARUN_WINDOW_WORDS;
    const uint32_t *rows = window + LARUN_ROWS, *columns = window + LARUN_COLUMNS, channels = window[LARUN_OUT_CHANNELS];
    const larun_i8 *image = node->in[0];
    larun_i8 *output = node->out[0];
    uint32_t batch, y, x, channel, i, j;
    for (batch = 0; batch < window[LARUN_BATCH]; ++batch, image += rows[0] * columns[0] * channels) {
        for (y = 0; y < rows[1]; ++y) {
            const larun_taps down = larun_taps_at(rows, y);
            for (x = 0; x < columns[1]; ++x) {
                const larun_taps across = larun_taps_at(columns, x);
                for (channel = 0; channel < channels; ++channel) {
                    int32_t largest = -128;
                    for (i = 0; i < down.count; ++i) {
                        for (j = 0; j < across.count; ++j) {
                            const int32_t value = image[((down.input + i) * columns[0] + across.input + j) * channels + channel];
                            if (value > largest) largest = value;
                        }
                    }
                    *output++ = (int8_t)larun_bound(largest, larun_i(stage[1]), larun_i(stage[2]));
                }
            }
        }
    }
}

