// [node]
// A node: what its kernel has worked out beforehand, its operands, and how many bytes each of them has.
typedef struct {
    const uint32_t *plan;
    const void *const *in;
    const uint32_t *in_bytes;
    void *const *out;
    const uint32_t *out_bytes;
    void *scratch;
} larun_node;

// [alias]
// Memory is shared by values of different types, one after the other.
#if defined(__GNUC__) || defined(__clang__)
#define LARUN_SHARED __attribute__((__may_alias__))
#else
#define LARUN_SHARED
#endif
typedef int8_t LARUN_SHARED larun_i8;
typedef uint8_t LARUN_SHARED larun_u8;
typedef int16_t LARUN_SHARED larun_i16;
typedef int32_t LARUN_SHARED larun_i32;
typedef uint32_t LARUN_SHARED larun_u32;
typedef int64_t LARUN_SHARED larun_i64;
typedef uint64_t LARUN_SHARED larun_u64;
typedef float LARUN_SHARED larun_f32;

// [signed_words]
static int32_t larun_i(uint32_t word) { return (int32_t)word; }

// [real_words]
static float larun_f(uint32_t word) {
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

// [wrapping]
// Sums and products that wrap at 32 bits.
static int32_t larun_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

// [wrapping_sub]
static int32_t larun_sub(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }

// [wrapping_mul]
static int32_t larun_mul(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }

// [bound]
static int32_t larun_bound(int32_t value, int32_t min, int32_t max) {
    if (value < min) value = min;
    return value > max ? max : value;
}

// [clamp] needs real_words
// A fused activation of real values; NaN stays NaN.
static float larun_clamp(float value, const uint32_t *bounds) {
    const float min = larun_f(bounds[0]), max = larun_f(bounds[1]);
    if (value < min) value = min;
    return value > max ? max : value;
}

// [high_mul]
// The doubled high half of a product, rounded, ties up; the one product that does not fit saturates.
static int32_t larun_high_mul(int32_t a, int32_t b) {
    const int64_t rounded = ((int64_t)a * b + (INT64_C(1) << 30)) >> 31;
    return rounded > INT32_MAX ? INT32_MAX : (int32_t)rounded;
}

// [shift_within]
static uint32_t larun_shift_within(int32_t shift) { return (uint32_t)(shift < 0 ? 0 : shift > 31 ? 31 : shift); }

// [rounding_shift] needs shift_within
// A division by a power of two, rounded, ties away from zero.
static int32_t larun_rounding_shift(int32_t x, int32_t exponent) {
    const uint32_t shift = larun_shift_within(exponent);
    const int32_t mask = (int32_t)((UINT32_C(1) << shift) - 1u);
    const int32_t remainder = x & mask, threshold = (mask >> 1) + (x < 0);
    return (x >> shift) + (remainder > threshold);
}

// [left_shift] needs shift_within
static int32_t larun_left_shift(int32_t x, int32_t shift) { return (int32_t)((uint32_t)x << larun_shift_within(shift)); }

// [scale] needs high_mul rounding_shift left_shift
// A fixed-point multiplication: `x * multiplier * 2^(shift - 31)`, rounded twice.
static int32_t larun_scale(int32_t x, int32_t multiplier, int32_t shift) {
    return larun_rounding_shift(larun_high_mul(larun_left_shift(x, shift), multiplier), -shift);
}

// [scale_below_one] needs high_mul rounding_shift
static int32_t larun_scale_below_one(int32_t x, int32_t multiplier, int32_t shift) {
    return larun_rounding_shift(larun_high_mul(x, multiplier), -shift);
}

// [scale_above_one] needs high_mul left_shift
static int32_t larun_scale_above_one(int32_t x, int32_t multiplier, int32_t shift) {
    return larun_high_mul(larun_left_shift(x, shift), multiplier);
}

// [scale_wide]
// The same of a sum of 64 bits, by the upper half of the multiplier.
static int32_t larun_scale_wide(int64_t x, int32_t multiplier, int32_t shift) {
    const int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
    int32_t right = 15 - shift;
    if (right < 1) right = 1;
    if (right > 62) right = 62;
    return (int32_t)((int64_t)((uint64_t)x * (uint64_t)(int64_t)reduced + (UINT64_C(1) << (right - 1))) >> right);
}

// [saturate16]
static int16_t larun_saturate16(int32_t x) { return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x); }

// [multiply_by_pot] needs rounding_shift shift_within
// `x * 2^exponent`: saturates upwards, rounds downwards.
static int32_t larun_multiply_by_pot(int32_t x, int32_t exponent) {
    int64_t wide;
    if (exponent < 0) return larun_rounding_shift(x, -exponent);
    wide = (int64_t)((uint64_t)(int64_t)x << larun_shift_within(exponent));
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

// [leading_zeros]
static int32_t larun_leading_zeros(uint32_t x) {
    int32_t zeros = 0;
    if (x == 0) return 32;
    while (!(x & UINT32_C(0x80000000))) {
        x <<= 1;
        ++zeros;
    }
    return zeros;
}

// [exp_negative] needs high_mul multiply_by_pot wrapping wrapping_sub
// exp of a number at most 0 with `bits` integer bits, in Q0.31. After B. Jacob et al., CVPR 2018, as gemmlowp does it.
static int32_t larun_exp_negative(int32_t a, int32_t bits) {
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    int32_t quarter, last, rest, x, x2, x3, x4, tail, value, i;
    if (a == 0) return INT32_MAX;
    if (bits > 5 && a < -(1 << (36 - bits))) return 0;
    quarter = 1 << (29 - bits);
    last = (a & (quarter - 1)) - quarter;
    x = larun_add(larun_multiply_by_pot(last, bits), 1 << 28);
    x2 = larun_high_mul(x, x);
    x3 = larun_high_mul(x2, x);
    x4 = larun_multiply_by_pot(larun_high_mul(x2, x2), -2);
    tail = larun_multiply_by_pot(larun_high_mul(x4 + x3, 715827883) + x2, -1);
    value = 1895147668 + larun_high_mul(1895147668, x + tail);
    rest = larun_sub(last, a);
    for (i = 0; i < 7; ++i) {
        const int32_t bit = 29 - bits + i;
        if (bit < 31 && (rest & (1 << bit))) value = larun_high_mul(value, powers[i]);
    }
    return value;
}

// [reciprocal_half] needs high_mul multiply_by_pot wrapping wrapping_sub
// 1 / ((1 + x) / 2) of a Q0.31 in [0, 1], as a Q2.29: three Newton steps.
static int32_t larun_reciprocal_half(int32_t x) {
    const int64_t sum = (int64_t)x + INT32_MAX;
    const int32_t half = (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
    int32_t estimate = larun_add(1515870810, larun_high_mul(half, -1010580540));
    int32_t step;
    for (step = 0; step < 3; ++step) {
        const int32_t error = larun_sub(1 << 29, larun_high_mul(half, estimate));
        estimate = larun_add(estimate, larun_multiply_by_pot(larun_high_mul(estimate, error), 2));
    }
    return estimate;
}

// [round]
// The nearest integer, ties away from zero.
static int32_t larun_round(float value) {
    const double wide = (double)value;
    if (!(wide == wide)) return 0;
    if (wide >= 2147483647.0) return INT32_MAX;
    if (wide <= -2147483648.0) return INT32_MIN;
    return wide < 0 ? -(int32_t)(0.5 - wide) : (int32_t)(wide + 0.5);
}

// [exp_real]
// exp in single precision, after fdlibm's algorithm: reduction by ln 2, then a rational approximation.
static float larun_exp(float x) {
    static const float ln2_high = 6.9314575195e-1f, ln2_low = 1.4286067653e-6f, inverse_ln2 = 1.4426950216f;
    static const float p1 = 1.6666625440e-1f, p2 = -2.7667332906e-3f;
    float high, low, square, c, y, power;
    int32_t k = 0;
    uint32_t bits;
    const float magnitude = x < 0 ? -x : x;
    if (!(x == x)) return x;
    if (x >= 88.722839f) return 3.4e38f * 10.0f;
    if (x < -103.972084f) return 0.0f;
    if (magnitude > 0.34657359f) {
        if (magnitude > 1.0397207f) {
            k = (int32_t)(inverse_ln2 * x + (x < 0 ? -0.5f : 0.5f));
        } else {
            k = x < 0 ? -1 : 1;
        }
        high = x - (float)k * ln2_high;
        low = (float)k * ln2_low;
        x = high - low;
    } else if (magnitude > 0.00006103515625f) {
        high = x;
        low = 0.0f;
    } else {
        return 1.0f + x;
    }
    square = x * x;
    c = x - square * (p1 + square * p2);
    y = 1.0f + (x * c / (2.0f - c) - low + high);
    if (k == 0) return y;
    if (k > 127) {
        y *= 2.0f;
        --k;
    }
    if (k < -126) {
        // In two steps, so that the first does not lose bits.
        y *= 5.9604644775390625e-8f;
        k += 24;
        if (k < -126) {
            y *= 5.9604644775390625e-8f;
            k += 24;
        }
    }
    bits = (uint32_t)(127 + k) << 23;
    memcpy(&power, &bits, sizeof power);
    return y * power;
}

// [sigmoid16_table]
// logistic(x) of magnitudes in steps of 1/24, in units of 2^-16.
static const uint16_t larun_logistic_table[256] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688,
    43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409,
    51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433,
    57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110,
    61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186,
    63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308,
    64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900,
    64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208,
    65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367,
    65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449,
    65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491,
    65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513,
    65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530,
    65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
};

// [sigmoid16_scaled] needs shift_within
static int32_t larun_sigmoid16_scaled(int16_t x, int32_t multiplier, int32_t shift_wanted) {
    const uint32_t shift = larun_shift_within(shift_wanted);
    int64_t value = (int64_t)x * multiplier;
    if (value > INT32_MAX) value = INT32_MAX;
    if (value < INT32_MIN) value = INT32_MIN;
    value += (int64_t)((UINT32_C(1) << shift) >> 1);
    if (value > INT32_MAX) value = INT32_MAX;
    return (int32_t)value >> shift;
}

// [logistic16] needs sigmoid16_table sigmoid16_scaled
static int16_t larun_logistic16(int16_t value, int32_t multiplier, int32_t shift) {
    const int32_t x = larun_sigmoid16_scaled(value, multiplier, shift);
    const uint32_t magnitude = x < 0 ? 0u - (uint32_t)x : (uint32_t)x, step = magnitude >> 9;
    uint32_t positive = UINT32_C(0x7FFF) << 10, rounded;
    if (step < 255) {
        const uint32_t low = larun_logistic_table[step], high = larun_logistic_table[step + 1];
        positive = (low << 9) + (magnitude & 0x1FF) * (high - low);
    }
    rounded = x >= 0 ? positive + (1 << 9) : (UINT32_C(1) << 25) - positive + (1 << 9) - 1;
    return (int16_t)(rounded >> 10);
}

// [tanh16] needs sigmoid16_table sigmoid16_scaled
static int16_t larun_tanh16(int16_t value, int32_t multiplier, int32_t shift) {
    const int32_t x = larun_sigmoid16_scaled(value, multiplier, shift);
    const uint32_t magnitude = x < 0 ? 0u - (uint32_t)x : (uint32_t)x, step = magnitude >> 8;
    uint32_t logistic = UINT32_C(0xFFFF) << 8;
    int32_t centred, rounded;
    if (step < 255) {
        const uint32_t low = larun_logistic_table[step], high = larun_logistic_table[step + 1];
        logistic = (low << 8) + (magnitude & 0xFF) * (high - low);
    }
    centred = (int32_t)logistic - (1 << 23);
    rounded = x >= 0 ? centred + (1 << 7) : (1 << 7) - 1 - centred;
    return (int16_t)(rounded >> 8);
}
