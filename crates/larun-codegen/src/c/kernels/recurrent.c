// [svdf_memory] needs signed_words
// Words of the plan of an SVDF behind the kind: batch, inputs, filters, memory, rank; zero points, multipliers, output stage.
enum { LARUN_SVDF_Q = 6 };

// [svdf_i8] needs node alias svdf_memory scale saturate16 bound wrapping wrapping_mul
// SVDF with INT8 activations and an INT8 or INT16 state. Plan: kind, sizes, quantisation.
static void larun_svdf_i8(const larun_node *node) {
    const uint32_t *plan = node->plan, *q = plan + LARUN_SVDF_Q, inputs = plan[2], filters = plan[3], memory = plan[4], rank = plan[5];
    const int wide = plan[0] == 2;
    const larun_i8 *input = node->in[0], *feature = node->in[1];
    const larun_i32 *bias = node->in[3];
    // The state is an input that the operator changes.
    larun_i8 *state8 = (larun_i8 *)(uintptr_t)node->in[4];
    larun_i16 *state16 = (larun_i16 *)(uintptr_t)node->in[4];
    const larun_i8 *time8 = node->in[2];
    const larun_i16 *time16 = node->in[2];
    larun_i8 *output = node->out[0];
    uint32_t batch, filter, i;
    for (batch = 0; batch < plan[1]; ++batch, input += inputs) {
        int32_t unit = bias ? bias[0] : 0;
        for (filter = 0; filter < filters; ++filter) {
            const uint32_t at = (batch * filters + filter) * memory, weights = filter * memory;
            int32_t sum = 0, newest;
            for (i = 0; i < inputs; ++i) sum = larun_add(sum, (input[i] - larun_i(q[0])) * feature[filter * inputs + i]);
            newest = larun_scale(sum, larun_i(q[2]), larun_i(q[3]));
            sum = 0;
            if (wide) {
                newest = (int16_t)(uint16_t)(uint32_t)larun_add(larun_saturate16(newest), larun_i(q[1]));
                for (i = 0; i + 1 < memory; ++i) state16[at + i] = state16[at + i + 1];
                state16[at + memory - 1] = (int16_t)newest;
                for (i = 0; i < memory; ++i) sum = larun_add(sum, larun_mul(time16[weights + i], state16[at + i] - larun_i(q[1])));
            } else {
                newest = (int8_t)(uint8_t)(uint32_t)larun_add(larun_bound(newest, -128, 127), larun_i(q[1]));
                for (i = 0; i + 1 < memory; ++i) state8[at + i] = state8[at + i + 1];
                state8[at + memory - 1] = (int8_t)newest;
                for (i = 0; i < memory; ++i) sum = larun_add(sum, larun_mul(time8[weights + i], state8[at + i] - larun_i(q[1])));
            }
            unit = larun_add(unit, sum);
            if ((filter + 1) % rank == 0) {
                const int32_t scaled = larun_scale(unit, larun_i(q[4]), larun_i(q[5]));
                *output++ = (int8_t)larun_bound(larun_add(scaled, larun_i(q[6])), larun_i(q[7]), larun_i(q[8]));
                unit = bias && filter + 1 < filters ? bias[(filter + 1) / rank] : 0;
            }
        }
    }
}

// [lstm_i8] needs node alias scale saturate16 logistic16 tanh16 bound wrapping signed_words
// UNIDIRECTIONAL_SEQUENCE_LSTM with INT8 activations. Plan: kind; batch, steps, inputs, units, whether time comes first;
// zero point of the input; multipliers of the gates for input and last output, of forget, update and output; the cell's
// argument, its clip; zero point, bounds.
static void larun_lstm_i8(const larun_node *node) {
    const uint32_t *plan = node->plan, *q = plan + 6, batches = plan[1], steps = plan[2], inputs = plan[3], units = plan[4];
    const uint32_t *forget = q + 17, *update = q + 19, *out = q + 21, *cell_input = q + 23, *stage = q + 26;
    const int32_t clip = larun_i(q[25]), zero_point = larun_i(stage[0]);
    larun_i8 *hidden = (larun_i8 *)(uintptr_t)node->in[18];
    larun_i16 *cells = (larun_i16 *)(uintptr_t)node->in[19];
    larun_i16 *last = node->scratch, *next = last + units;
    uint32_t batch, step, unit, gate, i;
    for (batch = 0; batch < batches; ++batch, hidden += units, cells += units) {
        for (unit = 0; unit < units; ++unit) last[unit] = (int16_t)(hidden[unit] - zero_point);
        for (step = 0; step < steps; ++step) {
            const uint32_t row = plan[5] ? step * batches + batch : batch * steps + step;
            const larun_i8 *input = (const larun_i8 *)node->in[0] + row * inputs;
            larun_i8 *output = (larun_i8 *)node->out[0] + row * units;
            for (unit = 0; unit < units; ++unit) {
                int16_t gates[4];
                int32_t kept, added, value;
                for (gate = 0; gate < 4; ++gate) {
                    const larun_i8 *of_input = (const larun_i8 *)node->in[1 + gate] + unit * inputs;
                    const larun_i8 *recurrent = (const larun_i8 *)node->in[5 + gate] + unit * units;
                    int32_t first = ((const larun_i32 *)node->in[12 + gate])[unit], second = 0;
                    for (i = 0; i < inputs; ++i) first = larun_add(first, (input[i] - larun_i(q[0])) * of_input[i]);
                    for (i = 0; i < units; ++i) second = larun_add(second, last[i] * recurrent[i]);
                    first = larun_saturate16(larun_scale(first, larun_i(q[1 + 2 * gate]), larun_i(q[2 + 2 * gate])));
                    second = larun_saturate16(larun_scale(second, larun_i(q[9 + 2 * gate]), larun_i(q[10 + 2 * gate])));
                    gates[gate] = larun_saturate16(first + second);
                }
                kept = larun_saturate16(larun_scale(larun_logistic16(gates[1], 3, 0) * (int32_t)cells[unit], larun_i(forget[0]), larun_i(forget[1])));
                added = larun_saturate16(larun_scale(larun_logistic16(gates[0], 3, 0) * (int32_t)larun_tanh16(gates[2], 3, 0), larun_i(update[0]), larun_i(update[1])));
                value = larun_saturate16(kept + added);
                if (value > clip) value = clip;
                if (value < -clip) value = -clip;
                cells[unit] = (int16_t)value;
                value = larun_tanh16((int16_t)value, larun_i(cell_input[0]), larun_i(cell_input[1])) * (int32_t)larun_logistic16(gates[3], 3, 0);
                value = larun_bound(larun_add(larun_scale(value, larun_i(out[0]), larun_i(out[1])), zero_point), larun_i(stage[1]), larun_i(stage[2]));
                next[unit] = (int16_t)(value - zero_point);
                output[unit] = (int8_t)value;
            }
            for (unit = 0; unit < units; ++unit) last[unit] = next[unit];
        }
        for (unit = 0; unit < units; ++unit) hidden[unit] = (int8_t)(last[unit] + zero_point);
    }
}
