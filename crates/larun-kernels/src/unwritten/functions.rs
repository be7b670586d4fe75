//! See the module above.

super::unwritten! {
    Abs
    Neg
    Exp
    Log
    Sqrt
    Rsqrt
    Square
    Sin
    Cos
    Floor
    Ceil
    Round
    Elu
    Gelu
    HardSwish
    LeakyRelu
    Prelu
    Tanh
    LogSoftmax
    L2Normalization
    L2Pool2D
    Sum
    ReduceMax
    ReduceMin
    ReduceAll
    ArgMax
    ArgMin
    CumSum
}
