//! The rows of the operator table: one for each operator, and nothing else.
//!
//! To add an operator, add its row here, its option struct to `options/` where it has options of its
//! own, and its shape rule to `rules/`. The enums, the markers, reading and writing of options, and the
//! description of operands follow; every other crate expands the same rows or matches [`Op`](crate::Op)
//! exhaustively, so the compiler names what is missing.

/// Calls a macro with the whole operator table.
///
/// The callback receives `wire { rows } custom { rows } training { rows }`: the format's own operators, those that a file
/// holds as custom operators by their name, and those that exist during training only. A row reads
///
/// ```text
/// /// What it computes.
/// Marker {
///     code: number in the file, name: "NAME", options: OptionStruct,
///     int8_version: the lowest of an INT8 node, int16_version: the lowest of an INT16 node,
///     inputs: [operands], outputs: [operands],
///     shape: rule in `rules`, macs: rule in `rules`,
///     quantization: how the output's parameters are chosen, in_place: may the output take over the input's memory
/// }
/// ```
///
/// Rows of the latter two have no code and no version.
///
/// A callback that needs only the names matches `$($name:ident { $($row:tt)* })*`.
#[macro_export]
macro_rules! for_each_op {
    ($callback:path) => {
        $callback! {
            wire {
                /// Element-wise sum with broadcasting.
                Add {
                    code: 0, name: "ADD", options: AddOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Mean of each window.
                AveragePool2D {
                    code: 1, name: "AVERAGE_POOL_2D", options: Pool2DOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: pool2d, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Inputs joined along an axis.
                Concatenation {
                    code: 2, name: "CONCATENATION", options: ConcatenationOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("inputs").variadic()],
                    outputs: [Operand::activation("output")],
                    shape: concatenation, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
                /// 2-D convolution: input `[N, H, W, C]`, filter `[O, KH, KW, C / groups]`.
                Conv2D {
                    code: 3, name: "CONV_2D", options: Conv2DOptions, int8_version: 3, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::weights("filter", 0), Operand::bias("bias").optional()],
                    outputs: [Operand::activation("output")],
                    shape: conv2d, macs: conv2d,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Depthwise 2-D convolution: input `[N, H, W, C]`, filter `[1, KH, KW, C * multiplier]`.
                DepthwiseConv2D {
                    code: 4, name: "DEPTHWISE_CONV_2D", options: DepthwiseConv2DOptions, int8_version: 3, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::weights("filter", 3), Operand::bias("bias").optional()],
                    outputs: [Operand::activation("output")],
                    shape: depthwise_conv2d, macs: depthwise_conv2d,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Channels spread over blocks of pixels.
                DepthToSpace {
                    code: 5, name: "DEPTH_TO_SPACE", options: DepthToSpaceOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: depth_to_space, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Real values of a quantised tensor.
                Dequantize {
                    code: 6, name: "DEQUANTIZE", options: DequantizeOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Rows of a table by their numbers.
                EmbeddingLookup {
                    code: 7, name: "EMBEDDING_LOOKUP", options: NoOptions, int8_version: 4, int16_version: 0,
                    inputs: [Operand::parameter("ids"), Operand::weights("table", 0)],
                    outputs: [Operand::activation("output")],
                    shape: embedding_lookup, macs: none,
                    quantization: OutputQuantization::SameAs(1), in_place: InPlace::Never
                }
                /// Largest integer not above.
                Floor {
                    code: 8, name: "FLOOR", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// A dense layer: input `[..., I]`, weights `[O, I]`.
                FullyConnected {
                    code: 9, name: "FULLY_CONNECTED", options: FullyConnectedOptions, int8_version: 4, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::weights("weights", 0), Operand::bias("bias").optional()],
                    outputs: [Operand::activation("output")],
                    shape: fully_connected, macs: fully_connected,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// The innermost axis divided by its Euclidean length.
                L2Normalization {
                    code: 11, name: "L2_NORMALIZATION", options: L2NormOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::SYMMETRIC_UNIT, in_place: InPlace::Never
                }
                /// Root of the mean square of each window.
                L2Pool2D {
                    code: 12, name: "L2_POOL_2D", options: Pool2DOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: pool2d, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// `1 / (1 + exp(-x))`.
                Logistic {
                    code: 14, name: "LOGISTIC", options: NoOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::UNIT_INTERVAL, in_place: InPlace::Elementwise
                }
                /// Largest value of each window.
                MaxPool2D {
                    code: 17, name: "MAX_POOL_2D", options: Pool2DOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: pool2d, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Element-wise product with broadcasting.
                Mul {
                    code: 18, name: "MUL", options: MulOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `max(x, 0)`.
                Relu {
                    code: 19, name: "RELU", options: NoOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `min(max(x, 0), 6)`.
                Relu6 {
                    code: 21, name: "RELU6", options: NoOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// The same elements under another shape.
                Reshape {
                    code: 22, name: "RESHAPE", options: ReshapeOptions, int8_version: 1, int16_version: 1,
                    inputs: [Operand::activation("input"), Operand::parameter("shape").optional()],
                    outputs: [Operand::activation("output")],
                    shape: reshape, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::View
                }
                /// Images of another size, by linear interpolation.
                ResizeBilinear {
                    code: 23, name: "RESIZE_BILINEAR", options: ResizeBilinearOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::parameter("size")],
                    outputs: [Operand::activation("output")],
                    shape: resize, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// `exp(beta x) / sum(exp(beta x))` along the innermost axis.
                Softmax {
                    code: 25, name: "SOFTMAX", options: SoftmaxOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("logits")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::UNIT_INTERVAL, in_place: InPlace::Never
                }
                /// Blocks of pixels gathered into channels.
                SpaceToDepth {
                    code: 26, name: "SPACE_TO_DEPTH", options: SpaceToDepthOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: space_to_depth, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// A dense layer over time, by singular value decomposition.
                Svdf {
                    code: 27, name: "SVDF", options: SvdfOptions, int8_version: 3, int16_version: 0,
                    inputs: [
                        Operand::activation("input"),
                        Operand::weights("feature weights", 0),
                        Operand::weights("time weights", 0),
                        Operand::bias("bias").optional(),
                        Operand::state("state")
                    ],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Hyperbolic tangent.
                Tanh {
                    code: 28, name: "TANH", options: NoOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::SYMMETRIC_UNIT, in_place: InPlace::Elementwise
                }
                /// Zeros (the zero point) added around the input.
                Pad {
                    code: 34, name: "PAD", options: PadOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("paddings")],
                    outputs: [Operand::activation("output")],
                    shape: pad, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Slices along an axis, by their numbers.
                Gather {
                    code: 36, name: "GATHER", options: GatherOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::activation("indices")],
                    outputs: [Operand::activation("output")],
                    shape: gather, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Batches spread over blocks of space, then cropped.
                BatchToSpaceNd {
                    code: 37, name: "BATCH_TO_SPACE_ND", options: BatchToSpaceNdOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::parameter("block shape"), Operand::parameter("crops")],
                    outputs: [Operand::activation("output")],
                    shape: batch_to_space, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Blocks of padded space gathered into batches.
                SpaceToBatchNd {
                    code: 38, name: "SPACE_TO_BATCH_ND", options: SpaceToBatchNdOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::parameter("block shape"), Operand::parameter("paddings")],
                    outputs: [Operand::activation("output")],
                    shape: space_to_batch, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Axes in another order.
                Transpose {
                    code: 39, name: "TRANSPOSE", options: TransposeOptions, int8_version: 2, int16_version: 5,
                    inputs: [Operand::activation("input"), Operand::parameter("permutation")],
                    outputs: [Operand::activation("output")],
                    shape: transpose, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Mean over axes.
                Mean {
                    code: 40, name: "MEAN", options: ReducerOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: reduce, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Element-wise difference with broadcasting.
                Sub {
                    code: 41, name: "SUB", options: SubOptions, int8_version: 2, int16_version: 5,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Element-wise quotient with broadcasting.
                Div {
                    code: 42, name: "DIV", options: DivOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// The input without some axes of size 1.
                Squeeze {
                    code: 43, name: "SQUEEZE", options: SqueezeOptions, int8_version: 1, int16_version: 1,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: squeeze, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::View
                }
                /// A long short-term memory over a sequence.
                UnidirectionalSequenceLstm {
                    code: 44, name: "UNIDIRECTIONAL_SEQUENCE_LSTM", options: UnidirectionalSequenceLstmOptions, int8_version: 3, int16_version: 0,
                    inputs: [
                        Operand::activation("input"),
                        Operand::weights("input to input weights", 0).optional(),
                        Operand::weights("input to forget weights", 0),
                        Operand::weights("input to cell weights", 0),
                        Operand::weights("input to output weights", 0),
                        Operand::weights("recurrent to input weights", 0).optional(),
                        Operand::weights("recurrent to forget weights", 0),
                        Operand::weights("recurrent to cell weights", 0),
                        Operand::weights("recurrent to output weights", 0),
                        Operand::weights("cell to input weights", 0).optional(),
                        Operand::weights("cell to forget weights", 0).optional(),
                        Operand::weights("cell to output weights", 0).optional(),
                        Operand::bias("input gate bias").optional(),
                        Operand::bias("forget gate bias"),
                        Operand::bias("cell gate bias"),
                        Operand::bias("output gate bias"),
                        Operand::weights("projection weights", 0).optional(),
                        Operand::bias("projection bias").optional(),
                        Operand::state("output state"),
                        Operand::state("cell state"),
                        Operand::scale("input layer norm coefficients").optional(),
                        Operand::scale("forget layer norm coefficients").optional(),
                        Operand::scale("cell layer norm coefficients").optional(),
                        Operand::scale("output layer norm coefficients").optional()
                    ],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Every n-th element of a part, along each axis.
                StridedSlice {
                    code: 45, name: "STRIDED_SLICE", options: StridedSliceOptions, int8_version: 2, int16_version: 2,
                    inputs: [
                        Operand::activation("input"),
                        Operand::parameter("begin"),
                        Operand::parameter("end"),
                        Operand::parameter("strides")
                    ],
                    outputs: [Operand::activation("output")],
                    shape: strided_slice, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Exponential function.
                Exp {
                    code: 47, name: "EXP", options: ExpOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Equal parts along an axis.
                Split {
                    code: 49, name: "SPLIT", options: SplitOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::parameter("axis"), Operand::activation("input")],
                    outputs: [Operand::activation("outputs").variadic()],
                    shape: split, macs: none,
                    quantization: OutputQuantization::SameAs(1), in_place: InPlace::Never
                }
                /// Logarithm of SOFTMAX along the innermost axis.
                LogSoftmax {
                    code: 50, name: "LOG_SOFTMAX", options: LogSoftmaxOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("logits")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::LOG_PROBABILITY, in_place: InPlace::Never
                }
                /// The same numbers in another element type.
                Cast {
                    code: 53, name: "CAST", options: CastOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// `x` above zero, `alpha x` below, `alpha` broadcast.
                Prelu {
                    code: 54, name: "PRELU", options: NoOptions, int8_version: 1, int16_version: 1,
                    inputs: [Operand::activation("input"), Operand::scale("alpha")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Element-wise larger value with broadcasting.
                Maximum {
                    code: 55, name: "MAXIMUM", options: MaximumMinimumOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Elementwise
                }
                /// Position of the largest value along an axis.
                ArgMax {
                    code: 56, name: "ARG_MAX", options: ArgMaxOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input"), Operand::parameter("axis")],
                    outputs: [Operand::activation("output")],
                    shape: without_axis, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Element-wise smaller value with broadcasting.
                Minimum {
                    code: 57, name: "MINIMUM", options: MaximumMinimumOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Elementwise
                }
                /// Whether `a < b`, with broadcasting.
                Less {
                    code: 58, name: "LESS", options: LessOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// `-x`.
                Neg {
                    code: 59, name: "NEG", options: NegOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// A given value added around the input.
                PadV2 {
                    code: 60, name: "PADV2", options: PadV2Options, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("paddings"), Operand::activation("value")],
                    outputs: [Operand::activation("output")],
                    shape: pad, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
                /// Whether `a > b`, with broadcasting.
                Greater {
                    code: 61, name: "GREATER", options: GreaterOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Whether `a >= b`, with broadcasting.
                GreaterEqual {
                    code: 62, name: "GREATER_EQUAL", options: GreaterEqualOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Whether `a <= b`, with broadcasting.
                LessEqual {
                    code: 63, name: "LESS_EQUAL", options: LessEqualOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Elements of `a` or `b`, or whole slices along the first axis.
                Select {
                    code: 64, name: "SELECT", options: SelectOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("condition"), Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: select, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
                /// A part along each axis.
                Slice {
                    code: 65, name: "SLICE", options: SliceOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::parameter("begin"), Operand::parameter("size")],
                    outputs: [Operand::activation("output")],
                    shape: slice, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Sine.
                Sin {
                    code: 66, name: "SIN", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Transposed 2-D convolution: filter `[O, KH, KW, C]`.
                TransposeConv {
                    code: 67, name: "TRANSPOSE_CONV", options: TransposeConvOptions, int8_version: 3, int16_version: 3,
                    inputs: [
                        Operand::parameter("output shape"),
                        Operand::weights("filter", 0),
                        Operand::activation("input"),
                        Operand::bias("bias").optional()
                    ],
                    outputs: [Operand::activation("output")],
                    shape: transpose_conv, macs: transpose_conv,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// The input with one more axis of size 1.
                ExpandDims {
                    code: 70, name: "EXPAND_DIMS", options: ExpandDimsOptions, int8_version: 1, int16_version: 1,
                    inputs: [Operand::activation("input"), Operand::parameter("axis")],
                    outputs: [Operand::activation("output")],
                    shape: expand_dims, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::View
                }
                /// Whether `a == b`, with broadcasting.
                Equal {
                    code: 71, name: "EQUAL", options: EqualOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Whether `a != b`, with broadcasting.
                NotEqual {
                    code: 72, name: "NOT_EQUAL", options: NotEqualOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Natural logarithm.
                Log {
                    code: 73, name: "LOG", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Sum over axes.
                Sum {
                    code: 74, name: "SUM", options: ReducerOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: reduce, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Square root.
                Sqrt {
                    code: 75, name: "SQRT", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `1 / sqrt(x)`.
                Rsqrt {
                    code: 76, name: "RSQRT", options: NoOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// The dimensions of the input.
                Shape {
                    code: 77, name: "SHAPE", options: ShapeOptions, int8_version: 1, int16_version: 1,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: shape_of, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Position of the smallest value along an axis.
                ArgMin {
                    code: 79, name: "ARG_MIN", options: ArgMinOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input"), Operand::parameter("axis")],
                    outputs: [Operand::activation("output")],
                    shape: without_axis, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Largest value over axes.
                ReduceMax {
                    code: 82, name: "REDUCE_MAX", options: ReducerOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: reduce, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Inputs joined along a new axis.
                Pack {
                    code: 83, name: "PACK", options: PackOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("inputs").variadic()],
                    outputs: [Operand::activation("output")],
                    shape: pack, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
                /// `a or b`, with broadcasting.
                LogicalOr {
                    code: 84, name: "LOGICAL_OR", options: LogicalOrOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// `a and b`, with broadcasting.
                LogicalAnd {
                    code: 86, name: "LOGICAL_AND", options: LogicalAndOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// `not x`.
                LogicalNot {
                    code: 87, name: "LOGICAL_NOT", options: LogicalNotOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Elementwise
                }
                /// Slices along an axis, which is dropped.
                Unpack {
                    code: 88, name: "UNPACK", options: UnpackOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("outputs").variadic()],
                    shape: unpack, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Smallest value over axes.
                ReduceMin {
                    code: 89, name: "REDUCE_MIN", options: ReducerOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: reduce, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Quotient rounded down, with broadcasting.
                FloorDiv {
                    code: 90, name: "FLOOR_DIV", options: FloorDivOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `x^2`.
                Square {
                    code: 92, name: "SQUARE", options: SquareOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Zeros in the shape of the input.
                ZerosLike {
                    code: 93, name: "ZEROS_LIKE", options: ZerosLikeOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// A shape filled with one value.
                Fill {
                    code: 94, name: "FILL", options: FillOptions, int8_version: 3, int16_version: 3,
                    inputs: [Operand::parameter("dims"), Operand::activation("value")],
                    outputs: [Operand::activation("output")],
                    shape: fill, macs: none,
                    quantization: OutputQuantization::SameAs(1), in_place: InPlace::Never
                }
                /// Remainder with the sign of the divisor, with broadcasting.
                FloorMod {
                    code: 95, name: "FLOOR_MOD", options: FloorModOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Images of another size, by the nearest pixel.
                ResizeNearestNeighbor {
                    code: 97, name: "RESIZE_NEAREST_NEIGHBOR", options: ResizeNearestNeighborOptions, int8_version: 2, int16_version: 4,
                    inputs: [Operand::activation("input"), Operand::parameter("size")],
                    outputs: [Operand::activation("output")],
                    shape: resize, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// `x` above zero, `alpha x` below.
                LeakyRelu {
                    code: 98, name: "LEAKY_RELU", options: LeakyReluOptions, int8_version: 2, int16_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `(a - b)^2`, with broadcasting.
                SquaredDifference {
                    code: 99, name: "SQUARED_DIFFERENCE", options: SquaredDifferenceOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// The input mirrored at its borders.
                MirrorPad {
                    code: 100, name: "MIRROR_PAD", options: MirrorPadOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input"), Operand::parameter("paddings")],
                    outputs: [Operand::activation("output")],
                    shape: pad, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// `|x|`.
                Abs {
                    code: 101, name: "ABS", options: AbsOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Parts of given sizes along an axis.
                SplitV {
                    code: 102, name: "SPLIT_V", options: SplitVOptions, int8_version: 2, int16_version: 2,
                    inputs: [Operand::activation("input"), Operand::parameter("sizes"), Operand::parameter("axis")],
                    outputs: [Operand::activation("outputs").variadic()],
                    shape: split_v, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Smallest integer not below.
                Ceil {
                    code: 104, name: "CEIL", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Axes in reverse.
                ReverseV2 {
                    code: 105, name: "REVERSE_V2", options: ReverseV2Options, int8_version: 3, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Sum of any number of inputs.
                AddN {
                    code: 106, name: "ADD_N", options: AddNOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("inputs").variadic()],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// Slices by positions along several axes.
                GatherNd {
                    code: 107, name: "GATHER_ND", options: GatherNdOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::activation("indices")],
                    outputs: [Operand::activation("output")],
                    shape: gather_nd, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Cosine.
                Cos {
                    code: 108, name: "COS", options: CosOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `x` above zero, `exp(x) - 1` below.
                Elu {
                    code: 111, name: "ELU", options: NoOptions, int8_version: 1, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// A tensor in other quantisation parameters.
                Quantize {
                    code: 114, name: "QUANTIZE", options: QuantizeOptions, int8_version: 1, int16_version: 2,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Nearest integer, ties to even.
                Round {
                    code: 116, name: "ROUND", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// `x relu6(x + 3) / 6`.
                HardSwish {
                    code: 117, name: "HARD_SWISH", options: HardSwishOptions, int8_version: 1, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// One of two subgraphs.
                If {
                    code: 118, name: "IF", options: IfOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("condition"), Operand::activation("inputs").variadic()],
                    outputs: [Operand::activation("outputs").variadic()],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A subgraph again and again, while another says so.
                While {
                    code: 119, name: "WHILE", options: WhileOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("inputs").variadic()],
                    outputs: [Operand::activation("outputs").variadic()],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Elements of `a` or `b`, with broadcasting.
                SelectV2 {
                    code: 123, name: "SELECT_V2", options: SelectV2Options, int8_version: 1, int16_version: 1,
                    inputs: [Operand::activation("condition"), Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: select_v2, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
                /// Products of matrices, batch by batch.
                BatchMatmul {
                    code: 126, name: "BATCH_MATMUL", options: BatchMatmulOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: batch_matmul, macs: batch_matmul,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// Sums of all elements before, along an axis.
                CumSum {
                    code: 128, name: "CUMSUM", options: CumSumOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input"), Operand::parameter("axis")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// A subgraph at the first inference only.
                CallOnce {
                    code: 129, name: "CALL_ONCE", options: CallOnceOptions, int8_version: 0, int16_version: 0,
                    inputs: [],
                    outputs: [],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// The input stretched to a shape.
                BroadcastTo {
                    code: 130, name: "BROADCAST_TO", options: BroadcastToOptions, int8_version: 2, int16_version: 3,
                    inputs: [Operand::activation("input"), Operand::parameter("shape")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast_to, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Whether all are true, over axes.
                ReduceAll {
                    code: 140, name: "REDUCE_ALL", options: ReducerOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("input"), Operand::parameter("axes")],
                    outputs: [Operand::activation("output")],
                    shape: reduce, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A variable of the model.
                VarHandle {
                    code: 142, name: "VAR_HANDLE", options: VarHandleOptions, int8_version: 0, int16_version: 0,
                    inputs: [],
                    outputs: [Operand::activation("handle")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// The value of a variable.
                ReadVariable {
                    code: 143, name: "READ_VARIABLE", options: ReadVariableOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("handle")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Never
                }
                /// A variable takes a value.
                AssignVariable {
                    code: 144, name: "ASSIGN_VARIABLE", options: AssignVariableOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("handle"), Operand::activation("value")],
                    outputs: [],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// The shape that two shapes broadcast to.
                BroadcastArgs {
                    code: 145, name: "BROADCAST_ARGS", options: NoOptions, int8_version: 0, int16_version: 0,
                    inputs: [Operand::activation("a"), Operand::activation("b")],
                    outputs: [Operand::activation("output")],
                    shape: broadcast_args, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// `x` times the normal distribution function.
                Gelu {
                    code: 150, name: "GELU", options: GeluOptions, int8_version: 2, int16_version: 0,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
                /// A part overwritten at a position.
                DynamicUpdateSlice {
                    code: 151, name: "DYNAMIC_UPDATE_SLICE", options: DynamicUpdateSliceOptions, int8_version: 2, int16_version: 2,
                    inputs: [Operand::activation("input"), Operand::activation("update"), Operand::activation("start")],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::SharedWithInputs, in_place: InPlace::Never
                }
            }
            custom {
                /// The last slices of a stream, the newest last.
                CircularBuffer {
                    name: "CIRCULAR_BUFFER", options: CircularBufferOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::state("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Constants decompressed: pairs of an encoded tensor and its description.
                Decode {
                    name: "TFLM_DECODE", options: NoOptions,
                    inputs: [Operand::activation("encoded and description").variadic()],
                    outputs: [Operand::activation("outputs").variadic()],
                    shape: given, macs: none,
                    quantization: OutputQuantization::SameAsInput, in_place: InPlace::Never
                }
                /// Boxes, classes and scores of objects, without overlaps.
                DetectionPostProcess {
                    name: "TFLite_Detection_PostProcess", options: DetectionPostProcessOptions,
                    inputs: [Operand::activation("boxes"), Operand::activation("scores"), Operand::activation("anchors")],
                    outputs: [Operand::activation("boxes"), Operand::activation("classes"), Operand::activation("scores"), Operand::activation("count")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A stream some samples later.
                SignalDelay {
                    name: "SignalDelay", options: SignalDelayOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Squared magnitude of each bin of a spectrum.
                SignalEnergy {
                    name: "SignalEnergy", options: SignalEnergyOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A frame shifted up as far as it fits, and the shift.
                SignalFftAutoScale {
                    name: "SignalFftAutoScale", options: NoOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output"), Operand::activation("shift")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Weighted sums of neighbouring bins of a spectrum.
                SignalFilterBank {
                    name: "SignalFilterBank", options: SignalFilterBankOptions,
                    inputs: [
                        Operand::activation("input"),
                        Operand::activation("weights"),
                        Operand::activation("unweights"),
                        Operand::activation("channel frequency starts"),
                        Operand::activation("channel weight starts"),
                        Operand::activation("channel widths")
                    ],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Logarithms of the channels of a filter bank.
                SignalFilterBankLog {
                    name: "SignalFilterBankLog", options: SignalFilterBankLogOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// The channels of a filter bank less their noise, and the noise.
                SignalFilterBankSpectralSubtraction {
                    name: "SignalFilterBankSpectralSubtraction", options: SignalFilterBankSpectralSubtractionOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output"), Operand::activation("noise")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Square roots of the channels of a filter bank.
                SignalFilterBankSquareRoot {
                    name: "SignalFilterBankSquareRoot", options: NoOptions,
                    inputs: [Operand::activation("input"), Operand::activation("scale bits")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Overlapping frames of a stream, and whether they are whole.
                SignalFramer {
                    name: "SignalFramer", options: SignalFramerOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("frame"), Operand::activation("valid")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A real signal from its spectrum.
                SignalIrfft {
                    name: "SignalIrfft", options: SignalFftOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A stream from overlapping frames.
                SignalOverlapAdd {
                    name: "SignalOverlapAdd", options: SignalOverlapAddOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Gain control of the channels of a filter bank by their noise.
                SignalPcan {
                    name: "SignalPCAN", options: SignalPcanOptions,
                    inputs: [Operand::activation("input"), Operand::activation("noise"), Operand::activation("gain table")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// The spectrum of a real signal.
                SignalRfft {
                    name: "SignalRfft", options: SignalFftOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// Neighbouring frames of a stream side by side, and whether they are whole.
                SignalStacker {
                    name: "SignalStacker", options: SignalStackerOptions,
                    inputs: [Operand::activation("input")],
                    outputs: [Operand::activation("output"), Operand::activation("valid")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
                /// A frame weighted sample by sample.
                SignalWindow {
                    name: "SignalWindow", options: SignalWindowOptions,
                    inputs: [Operand::activation("input"), Operand::activation("weights")],
                    outputs: [Operand::activation("output")],
                    shape: given, macs: none,
                    quantization: OutputQuantization::Unquantized, in_place: InPlace::Never
                }
            }
            training {
                /// Batch normalisation over all axes but the last; folded into its neighbour before writing.
                BatchNorm {
                    name: "BATCH_NORM", options: BatchNormOptions,
                    inputs: [
                        Operand::activation("input"), Operand::scale("gamma"), Operand::bias("beta"),
                        Operand::statistic("mean"), Operand::statistic("variance")
                    ],
                    outputs: [Operand::activation("output")],
                    shape: same, macs: none,
                    quantization: OutputQuantization::Calibrated, in_place: InPlace::Elementwise
                }
            }
        }
    };
}
