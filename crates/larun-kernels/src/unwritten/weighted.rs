//! See the module above.

super::unwritten! {
    BatchMatmul
}
