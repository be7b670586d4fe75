//! The end of a computation of four sums, in assembly.

/// From doubled sums in r4-r7 to outputs; r8-r11 are free.
///
/// - `rectified`, `signed`: scaled by three words each at r1, which moves on
/// - `signed_alike`, `shifted_alike`: scaled by the three words r8-r10 that all have in common
/// - `saturate`: to INT8; `clamp`: to the bounds r8 and r9
/// - `store`: four bytes at r3
macro_rules! finish {
    (rectified) => {
        concat!(
            finish!(rectified "r4"),
            finish!(rectified "r5"),
            finish!(rectified "r6"),
            finish!(rectified "r7")
        )
    };
    (rectified $sum:literal) => {
        concat!(
            "ldmia r1!, {{r8-r10}}\n",
            "smmlar ", $sum, ", ", $sum, ", r8, r9\n",
            "asrs ", $sum, ", ", $sum, ", r10\n",
        )
    };
    (signed) => {
        concat!(
            finish!(signed "r4"),
            finish!(signed "r5"),
            finish!(signed "r6"),
            finish!(signed "r7")
        )
    };
    (signed $sum:literal) => {
        concat!(
            "ldmia r1!, {{r8-r10}}\n",
            "add r9, r9, ", $sum, ", asr #31\n",
            "smmlar ", $sum, ", ", $sum, ", r8, r9\n",
            "asrs ", $sum, ", ", $sum, ", r10\n",
        )
    };
    (signed_alike) => {
        concat!(
            finish!(signed_alike "r4"),
            finish!(signed_alike "r5"),
            finish!(signed_alike "r6"),
            finish!(signed_alike "r7")
        )
    };
    (signed_alike $sum:literal) => {
        concat!(
            "add r11, r9, ", $sum, ", asr #31\n",
            "smmlar ", $sum, ", ", $sum, ", r8, r11\n",
        )
    };
    (shifted_alike) => {
        "asrs r4, r4, r10\nasrs r5, r5, r10\nasrs r6, r6, r10\nasrs r7, r7, r10\n"
    };
    (saturate) => {
        "ssat r4, #8, r4\nssat r5, #8, r5\nssat r6, #8, r6\nssat r7, #8, r7\n"
    };
    (clamp) => {
        concat!(
            finish!(clamp "r4"),
            finish!(clamp "r5"),
            finish!(clamp "r6"),
            finish!(clamp "r7")
        )
    };
    (clamp $sum:literal) => {
        concat!(
            "cmp ", $sum, ", r8\nit lt\nmovlt ", $sum, ", r8\n",
            "cmp ", $sum, ", r9\nit gt\nmovgt ", $sum, ", r9\n",
        )
    };
    (store) => {
        "strb r4, [r3]\nstrb r5, [r3, #1]\nstrb r6, [r3, #2]\nstrb r7, [r3, #3]\n"
    };
}

pub(super) use finish;
