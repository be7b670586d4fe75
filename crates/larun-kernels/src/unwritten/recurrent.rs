//! See the module above.

super::unwritten! {
    CircularBuffer
    Decode
    DetectionPostProcess
}
