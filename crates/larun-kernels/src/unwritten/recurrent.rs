//! See the module above.

super::unwritten! {
    Svdf
    UnidirectionalSequenceLstm
    CircularBuffer
    Decode
    DetectionPostProcess
}
