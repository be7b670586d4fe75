//! See the module above.

super::unwritten! {
    Sub
    Div
    FloorDiv
    FloorMod
    Maximum
    Minimum
    SquaredDifference
    AddN
    Less
    Greater
    GreaterEqual
    LessEqual
    Equal
    NotEqual
    LogicalOr
    LogicalAnd
    LogicalNot
    SelectV2
    Cast
    ZerosLike
}
