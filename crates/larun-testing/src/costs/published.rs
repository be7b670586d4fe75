//! Published times of MLPerf Tiny's models, to hold the cost model against.

/// What a system was measured to take.
pub struct Published {
    /// The system and where it was published.
    pub system: &'static str,
    /// The id of its board in `larun-device`.
    pub board: &'static str,
    /// Milliseconds of an inference: key word spotting, visual wake words, image classification, anomaly detection.
    pub milliseconds: [f64; 4],
}

const fn row(system: &'static str, board: &'static str, milliseconds: [f64; 4]) -> Published {
    Published {
        system,
        board,
        milliseconds,
    }
}

/// Closed and open divisions of MLPerf Tiny v0.5 to v1.3, INT8, on boards whose cores the cost model has.
pub const PUBLISHED: &[Published] = &[
    row(
        "Bosch HALE (v1.2)",
        "stm32g0",
        [474.61, 1414.43, 1522.07, 40.89],
    ),
    row(
        "TensorFlow Lite Micro 2.3.1, reference kernels (v0.5)",
        "stm32l4",
        [181.92, 600.60, 704.23, 10.05],
    ),
    row(
        "microTVM (v1.1)",
        "stm32l4",
        [144.03, 338.87, 389.11, 11.72],
    ),
    row(
        "microTVM with CMSIS-NN (v1.1)",
        "stm32l4",
        [99.81, 300.84, 389.56, 8.60],
    ),
    row(
        "ONNC with CMSIS-5 (v1.1)",
        "stm32l4",
        [93.64, 197.78, 296.56, 8.01],
    ),
    row(
        "Bosch HALE (v1.2)",
        "stm32l4",
        [60.16, 180.51, 180.54, 5.84],
    ),
    row("Plumerai (v1.1)", "stm32l4", [47.78, 98.76, 167.76, 4.05]),
    row(
        "X-CUBE-AI 10.2 (v1.3)",
        "stm32l4",
        [43.42, 89.44, 165.67, 4.79],
    ),
    row("Plumerai (v1.1)", "stm32u5", [30.04, 59.49, 104.29, 3.67]),
    row("X-CUBE-AI (v1.2)", "stm32u5", [29.06, 59.28, 111.07, 3.43]),
    row("Plumerai (v1.1)", "stm32f7", [17.75, 34.08, 62.88, 1.71]),
    row("X-CUBE-AI (v1.2)", "stm32h7a3", [11.32, 23.80, 40.84, 1.23]),
    row(
        "Renesas, with Helium (v1.2)",
        "ra8d1",
        [3.46, 13.39, 8.48, 0.53],
    ),
];
