//! See the module above.

super::unwritten! {
    TransposeConv
    BatchMatmul
}
