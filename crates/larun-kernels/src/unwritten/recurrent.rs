//! See the module above.

super::unwritten! {
    CircularBuffer
    DetectionPostProcess
}
