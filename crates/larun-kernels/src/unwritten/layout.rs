//! See the module above.

super::unwritten! {
    DepthToSpace
    SpaceToDepth
    EmbeddingLookup
    ResizeBilinear
    ResizeNearestNeighbor
    Gather
    GatherNd
    BatchToSpaceNd
    SpaceToBatchNd
    Transpose
    StridedSlice
    Split
    SplitV
    Slice
    Pack
    Unpack
    PadV2
    MirrorPad
    Shape
    Fill
    ReverseV2
    BroadcastTo
    BroadcastArgs
    DynamicUpdateSlice
}
