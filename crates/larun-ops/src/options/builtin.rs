//! The options of the format's own operators, in the order of their tables in the format.

use super::{Field, Options, OptionsSink, OptionsSource, options};
use crate::{Activation, ElementType, IntList, MirrorPadMode, Padding, WeightsFormat};

options! {
    /// An operator without options.
    NoOptions = 0 "" {}

    /// Options of CONV_2D.
    Conv2DOptions = 1 "Conv2DOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Activation of the result.
        activation: Activation = 3, Activation::None;
        /// Distance of neighbouring taps along the width.
        dilation_w: i32 = 4, 1;
        /// Distance of neighbouring taps along the height.
        dilation_h: i32 = 5, 1;
        /// Element type of the bias in a quantised model, FLOAT32 where unsaid.
        quantized_bias_type: ElementType = 6, ElementType::Float32;
    }

    /// Options of DEPTHWISE_CONV_2D.
    DepthwiseConv2DOptions = 2 "DepthwiseConv2DOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Output channels per input channel; runtimes take it from the shapes.
        depth_multiplier: i32 = 3, 0;
        /// Activation of the result.
        activation: Activation = 4, Activation::None;
        /// Distance of neighbouring taps along the width.
        dilation_w: i32 = 5, 1;
        /// Distance of neighbouring taps along the height.
        dilation_h: i32 = 6, 1;
    }

    /// Options of AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D.
    Pool2DOptions = 5 "Pool2DOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Width of the window.
        filter_w: i32 = 3, 0;
        /// Height of the window.
        filter_h: i32 = 4, 0;
        /// Activation of the result.
        activation: Activation = 5, Activation::None;
    }

    /// Options of SVDF.
    SvdfOptions = 6 "SVDFOptions" {
        /// Filters that one unit sums.
        rank: i32 = 0, 0;
        /// Activation of the result.
        activation: Activation = 1, Activation::None;
        /// Whether a hybrid kernel quantises its input asymmetrically.
        asymmetric_quantize_inputs: bool = 2, false;
    }

    /// Options of FULLY_CONNECTED.
    FullyConnectedOptions = 8 "FullyConnectedOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
        /// Layout of the weights.
        weights_format: WeightsFormat = 1, WeightsFormat::Default;
        /// Whether the result keeps the leading dimensions of the input.
        keep_num_dims: bool = 2, false;
        /// Whether a hybrid kernel quantises its input asymmetrically.
        asymmetric_quantize_inputs: bool = 3, false;
        /// Element type of the bias in a quantised model, FLOAT32 where unsaid.
        quantized_bias_type: ElementType = 4, ElementType::Float32;
    }

    /// Options of SOFTMAX.
    SoftmaxOptions = 9 "SoftmaxOptions" {
        /// Factor of the logits.
        beta: f32 = 0, 0.0;
    }

    /// Options of CONCATENATION.
    ConcatenationOptions = 10 "ConcatenationOptions" {
        /// The axis along which the inputs are joined, negative from the end.
        axis: i32 = 0, 0;
        /// Activation of the result.
        activation: Activation = 1, Activation::None;
    }

    /// Options of ADD.
    AddOptions = 11 "AddOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
        /// Whether INT16 scales are powers of two.
        pot_scale_int16: bool = 1, true;
    }

    /// Options of L2_NORMALIZATION.
    L2NormOptions = 12 "L2NormOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
    }

    /// Options of RESIZE_BILINEAR.
    ResizeBilinearOptions = 15 "ResizeBilinearOptions" {
        /// Height of the output in files of old; now an input.
        new_height: i32 = 0, 0;
        /// Width of the output in files of old; now an input.
        new_width: i32 = 1, 0;
        /// Whether the corner pixels of input and output meet.
        align_corners: bool = 2, false;
        /// Whether pixels are points in the middle of their area.
        half_pixel_centers: bool = 3, false;
    }

    /// Options of RESHAPE.
    ReshapeOptions = 17 "ReshapeOptions" {
        /// The shape asked for, where no second input gives it; -1 stands for what is left.
        new_shape: IntList = 0, IntList::default();
    }

    /// Options of SPACE_TO_DEPTH.
    SpaceToDepthOptions = 19 "SpaceToDepthOptions" {
        /// Edge of the blocks.
        block_size: i32 = 0, 0;
    }

    /// Options of MUL.
    MulOptions = 21 "MulOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
    }

    /// Options of PAD: none, its paddings are an input.
    PadOptions = 22 "PadOptions" {}

    /// Options of GATHER.
    GatherOptions = 23 "GatherOptions" {
        /// The axis of the slices, negative from the end.
        axis: i32 = 0, 0;
        /// Leading axes that input and indices share.
        batch_dims: i32 = 1, 0;
    }

    /// Options of BATCH_TO_SPACE_ND: none.
    BatchToSpaceNdOptions = 24 "BatchToSpaceNDOptions" {}

    /// Options of SPACE_TO_BATCH_ND: none.
    SpaceToBatchNdOptions = 25 "SpaceToBatchNDOptions" {}

    /// Options of TRANSPOSE: none.
    TransposeOptions = 26 "TransposeOptions" {}

    /// Options of MEAN and the other reductions.
    ReducerOptions = 27 "ReducerOptions" {
        /// Whether reduced axes stay as ones.
        keep_dims: bool = 0, false;
    }

    /// Options of SUB.
    SubOptions = 28 "SubOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
        /// Whether INT16 scales are powers of two.
        pot_scale_int16: bool = 1, true;
    }

    /// Options of DIV.
    DivOptions = 29 "DivOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
    }

    /// Options of SQUEEZE.
    SqueezeOptions = 30 "SqueezeOptions" {
        /// The axes to drop, each of size 1; every such axis when empty.
        squeeze_dims: IntList = 0, IntList::default();
    }

    /// Options of STRIDED_SLICE; bit `i` of a mask is about entry `i` of the operands.
    StridedSliceOptions = 32 "StridedSliceOptions" {
        /// Entries whose `begin` is ignored: from the first element.
        begin_mask: i32 = 0, 0;
        /// Entries whose `end` is ignored: to the last element.
        end_mask: i32 = 1, 0;
        /// The entry that stands for all axes not named.
        ellipsis_mask: i32 = 2, 0;
        /// Entries that add an axis of size 1.
        new_axis_mask: i32 = 3, 0;
        /// Entries that take one element and drop the axis.
        shrink_axis_mask: i32 = 4, 0;
        /// Whether `end` counts from `begin`.
        offset: bool = 5, false;
    }

    /// Options of EXP: none.
    ExpOptions = 33 "ExpOptions" {}

    /// Options of SPLIT.
    SplitOptions = 35 "SplitOptions" {
        /// How many outputs.
        num_splits: i32 = 0, 0;
    }

    /// Options of LOG_SOFTMAX: none.
    LogSoftmaxOptions = 36 "LogSoftmaxOptions" {}

    /// Options of CAST; runtimes take the types from the tensors.
    CastOptions = 37 "CastOptions" {
        /// Element type of the input.
        in_data_type: ElementType = 0, ElementType::Float32;
        /// Element type of the output.
        out_data_type: ElementType = 1, ElementType::Float32;
    }

    /// Options of DEQUANTIZE: none.
    DequantizeOptions = 38 "DequantizeOptions" {}

    /// Options of MAXIMUM and MINIMUM: none.
    MaximumMinimumOptions = 39 "MaximumMinimumOptions" {}

    /// Options of ARG_MAX.
    ArgMaxOptions = 40 "ArgMaxOptions" {
        /// Element type of the positions.
        output_type: ElementType = 0, ElementType::Float32;
    }

    /// Options of LESS: none.
    LessOptions = 41 "LessOptions" {}

    /// Options of NEG: none.
    NegOptions = 42 "NegOptions" {}

    /// Options of PADV2: none.
    PadV2Options = 43 "PadV2Options" {}

    /// Options of GREATER: none.
    GreaterOptions = 44 "GreaterOptions" {}

    /// Options of GREATER_EQUAL: none.
    GreaterEqualOptions = 45 "GreaterEqualOptions" {}

    /// Options of LESS_EQUAL: none.
    LessEqualOptions = 46 "LessEqualOptions" {}

    /// Options of SELECT: none.
    SelectOptions = 47 "SelectOptions" {}

    /// Options of SLICE: none.
    SliceOptions = 48 "SliceOptions" {}

    /// Options of TRANSPOSE_CONV.
    TransposeConvOptions = 49 "TransposeConvOptions" {
        /// Border treatment.
        padding: Padding = 0, Padding::Same;
        /// Step along the width.
        stride_w: i32 = 1, 0;
        /// Step along the height.
        stride_h: i32 = 2, 0;
        /// Activation of the result.
        activation: Activation = 3, Activation::None;
        /// Element type of the bias in a quantised model, FLOAT32 where unsaid.
        quantized_bias_type: ElementType = 4, ElementType::Float32;
    }

    /// Options of EXPAND_DIMS: none, its axis is an input.
    ExpandDimsOptions = 52 "ExpandDimsOptions" {}

    /// Options of EQUAL: none.
    EqualOptions = 53 "EqualOptions" {}

    /// Options of NOT_EQUAL: none.
    NotEqualOptions = 54 "NotEqualOptions" {}

    /// Options of SHAPE.
    ShapeOptions = 55 "ShapeOptions" {
        /// Element type of the dimensions, INT32 or INT64.
        out_type: ElementType = 0, ElementType::Float32;
    }

    /// Options of ARG_MIN.
    ArgMinOptions = 57 "ArgMinOptions" {
        /// Element type of the positions.
        output_type: ElementType = 0, ElementType::Float32;
    }

    /// Options of PACK.
    PackOptions = 59 "PackOptions" {
        /// How many inputs.
        values_count: i32 = 0, 0;
        /// The new axis, negative from the end.
        axis: i32 = 1, 0;
    }

    /// Options of LOGICAL_OR: none.
    LogicalOrOptions = 60 "LogicalOrOptions" {}

    /// Options of LOGICAL_AND: none.
    LogicalAndOptions = 62 "LogicalAndOptions" {}

    /// Options of LOGICAL_NOT: none.
    LogicalNotOptions = 63 "LogicalNotOptions" {}

    /// Options of UNPACK.
    UnpackOptions = 64 "UnpackOptions" {
        /// How many outputs.
        num: i32 = 0, 0;
        /// The axis that is dropped, negative from the end.
        axis: i32 = 1, 0;
    }

    /// Options of FLOOR_DIV: none.
    FloorDivOptions = 65 "FloorDivOptions" {}

    /// Options of SQUARE: none.
    SquareOptions = 66 "SquareOptions" {}

    /// Options of ZEROS_LIKE: none.
    ZerosLikeOptions = 67 "ZerosLikeOptions" {}

    /// Options of FILL: none.
    FillOptions = 68 "FillOptions" {}

    /// Options of UNIDIRECTIONAL_SEQUENCE_LSTM.
    UnidirectionalSequenceLstmOptions = 71 "UnidirectionalSequenceLSTMOptions" {
        /// Activation of the result.
        activation: Activation = 0, Activation::None;
        /// Bound of the cell state, 0 for none.
        cell_clip: f32 = 1, 0.0;
        /// Bound of the projection, 0 for none.
        proj_clip: f32 = 2, 0.0;
        /// Whether time is the outermost axis.
        time_major: bool = 3, false;
        /// Whether a hybrid kernel quantises its input asymmetrically.
        asymmetric_quantize_inputs: bool = 4, false;
        /// Whether recurrent weights are diagonals.
        diagonal_recurrent_tensors: bool = 5, false;
    }

    /// Options of FLOOR_MOD: none.
    FloorModOptions = 72 "FloorModOptions" {}

    /// Options of RESIZE_NEAREST_NEIGHBOR.
    ResizeNearestNeighborOptions = 74 "ResizeNearestNeighborOptions" {
        /// Whether the corner pixels of input and output meet.
        align_corners: bool = 0, false;
        /// Whether pixels are points in the middle of their area.
        half_pixel_centers: bool = 1, false;
    }

    /// Options of LEAKY_RELU.
    LeakyReluOptions = 75 "LeakyReluOptions" {
        /// Slope below zero.
        alpha: f32 = 0, 0.0;
    }

    /// Options of SQUARED_DIFFERENCE: none.
    SquaredDifferenceOptions = 76 "SquaredDifferenceOptions" {}

    /// Options of MIRROR_PAD.
    MirrorPadOptions = 77 "MirrorPadOptions" {
        /// Whether the border itself is mirrored.
        mode: MirrorPadMode = 0, MirrorPadMode::Reflect;
    }

    /// Options of ABS: none.
    AbsOptions = 78 "AbsOptions" {}

    /// Options of SPLIT_V.
    SplitVOptions = 79 "SplitVOptions" {
        /// How many outputs.
        num_splits: i32 = 0, 0;
    }

    /// Options of REVERSE_V2: none.
    ReverseV2Options = 81 "ReverseV2Options" {}

    /// Options of ADD_N: none.
    AddNOptions = 82 "AddNOptions" {}

    /// Options of GATHER_ND: none.
    GatherNdOptions = 83 "GatherNdOptions" {}

    /// Options of COS: none.
    CosOptions = 84 "CosOptions" {}

    /// Options of QUANTIZE: none.
    QuantizeOptions = 89 "QuantizeOptions" {}

    /// Options of HARD_SWISH: none.
    HardSwishOptions = 91 "HardSwishOptions" {}

    /// Options of IF.
    IfOptions = 92 "IfOptions" {
        /// The subgraph for true.
        then_subgraph_index: i32 = 0, 0;
        /// The subgraph for false.
        else_subgraph_index: i32 = 1, 0;
    }

    /// Options of WHILE.
    WhileOptions = 93 "WhileOptions" {
        /// The subgraph that says whether to go on.
        cond_subgraph_index: i32 = 0, 0;
        /// The subgraph that is repeated.
        body_subgraph_index: i32 = 1, 0;
    }

    /// Options of DEPTH_TO_SPACE.
    DepthToSpaceOptions = 94 "DepthToSpaceOptions" {
        /// Edge of the blocks.
        block_size: i32 = 0, 0;
    }

    /// Options of SELECT_V2: none.
    SelectV2Options = 98 "SelectV2Options" {}

    /// Options of BATCH_MATMUL.
    BatchMatmulOptions = 101 "BatchMatMulOptions" {
        /// Whether the left matrices are transposed.
        adj_x: bool = 0, false;
        /// Whether the right matrices are transposed.
        adj_y: bool = 1, false;
        /// Whether a hybrid kernel quantises its input asymmetrically.
        asymmetric_quantize_inputs: bool = 2, false;
    }

    /// Options of CUMSUM.
    CumSumOptions = 102 "CumsumOptions" {
        /// Whether an element is left out of its own sum.
        exclusive: bool = 0, false;
        /// Whether sums run from the end.
        reverse: bool = 1, false;
    }

    /// Options of CALL_ONCE.
    CallOnceOptions = 103 "CallOnceOptions" {
        /// The subgraph.
        init_subgraph_index: i32 = 0, 0;
    }

    /// Options of BROADCAST_TO: none.
    BroadcastToOptions = 104 "BroadcastToOptions" {}

    /// Options of VAR_HANDLE: its names, which are not numbers, are read by the file's view.
    VarHandleOptions = 111 "VarHandleOptions" {}

    /// Options of READ_VARIABLE: none.
    ReadVariableOptions = 112 "ReadVariableOptions" {}

    /// Options of ASSIGN_VARIABLE: none.
    AssignVariableOptions = 113 "AssignVariableOptions" {}

    /// Options of GELU.
    GeluOptions = 116 "GeluOptions" {
        /// Whether it is approximated by TANH.
        approximate: bool = 0, false;
    }

    /// Options of DYNAMIC_UPDATE_SLICE: none.
    DynamicUpdateSliceOptions = 117 "DynamicUpdateSliceOptions" {}
}
