//! The options of custom operators. They are stored by name in a flexbuffer: a field here has the name it has there, or
//! says which.
//!
//! TensorFlow Lite Micro finds the options of the signal operators by their places in the map, which is sorted by name.
//! So a map must hold all of them, and the type that TensorFlow adds to some.

use super::{Field, Options, OptionsSink, OptionsSource, options};
use crate::Activation;

options! {
    /// Options of CIRCULAR_BUFFER.
    CircularBufferOptions = 0 "" {
        /// Inferences from one valid output to the next, 0 where it follows from the shapes.
        cycles_max: i32 = 0, 0;
    }

    /// Options of TFLite_Detection_PostProcess.
    DetectionPostProcessOptions = 0 "" {
        /// Most detections to give.
        max_detections: i32 = 0, 0;
        /// Most classes of one detection.
        max_classes_per_detection: i32 = 1, 0;
        /// Most detections of one class, where every class is looked at.
        detections_per_class: i32 = 2, 100;
        /// Whether every class is looked at by itself.
        use_regular_nms: bool = 3, false;
        /// Least score of a detection.
        nms_score_threshold: f32 = 4, 0.0;
        /// Overlap from which on the lesser of two boxes is dropped.
        nms_iou_threshold: f32 = 5, 0.0;
        /// Classes, without the background.
        num_classes: i32 = 6, 0;
        /// Divisor of the vertical centre.
        y_scale: f32 = 7, 0.0;
        /// Divisor of the horizontal centre.
        x_scale: f32 = 8, 0.0;
        /// Divisor of the height.
        h_scale: f32 = 9, 0.0;
        /// Divisor of the width.
        w_scale: f32 = 10, 0.0;
    }

    /// Options of SignalDelay.
    SignalDelayOptions = 0 "" {
        /// Samples.
        delay_length: i32 = 0, 0;
    }

    /// Options of SignalEnergy.
    SignalEnergyOptions = 0 "" {
        /// The bin behind the last.
        end_index: i32 = 0, 0;
        /// The first bin.
        start_index: i32 = 1, 0;
    }

    /// Options of SignalFilterBank.
    SignalFilterBankOptions = 0 "" {
        /// Channels of the filter bank.
        num_channels: i32 = 0, 0;
    }

    /// Options of SignalFilterBankLog.
    SignalFilterBankLogOptions = 0 "" {
        /// Bits by which the input was shifted up.
        input_correction_bits: i32 = 0, 0;
        /// Factor of the logarithm.
        output_scale: i32 = 1, 0;
    }

    /// Options of SignalFilterBankSpectralSubtraction.
    SignalFilterBankSpectralSubtractionOptions = 0 "" {
        /// One less the smoothing of odd channels.
        alternate_one_minus_smoothing: i32 = 0, 0;
        /// Smoothing of odd channels.
        alternate_smoothing: i32 = 1, 0;
        /// Whether the noise is at most the signal.
        clamping: bool = 2, false;
        /// Least part of the signal that stays.
        min_signal_remaining: i32 = 3, 0;
        /// Channels of the filter bank.
        num_channels: i32 = 4, 0;
        /// One less the smoothing of even channels.
        one_minus_smoothing: i32 = 5, 0;
        /// Smoothing of even channels.
        smoothing: i32 = 6, 0;
        /// Bits by which the noise is shifted up.
        smoothing_bits: i32 = 7, 0;
        /// Fractional bits of the factors.
        spectral_subtraction_bits: i32 = 8, 0;
    }

    /// Options of SignalFramer.
    SignalFramerOptions = 0 "" {
        /// Samples of a frame.
        frame_size: i32 = 0, 0;
        /// Samples from one frame to the next.
        frame_step: i32 = 1, 0;
        /// Whether zeros stand before the first sample.
        prefill: bool = 2, false;
    }

    /// Options of SignalRfft and SignalIrfft.
    SignalFftOptions = 0 "" {
        /// The number of the element type, which TensorFlow adds and no runtime looks at.
        element_type ("T"): i32 = 0, 0;
        /// Samples of the transform.
        fft_length: i32 = 1, 0;
    }

    /// Options of SignalOverlapAdd.
    SignalOverlapAddOptions = 0 "" {
        /// The number of the element type, which TensorFlow adds and no runtime looks at.
        element_type ("T"): i32 = 0, 0;
        /// Samples from one frame to the next.
        frame_step: i32 = 1, 0;
    }

    /// Options of SignalPCAN.
    SignalPcanOptions = 0 "" {
        /// Bits by which the ratio of signal to noise is shifted down.
        snr_shift: i32 = 0, 0;
    }

    /// Options of SignalStacker.
    SignalStackerOptions = 0 "" {
        /// Elements of a frame.
        num_channels: i32 = 0, 0;
        /// Frames before the current one.
        stacker_left_context: i32 = 1, 0;
        /// Frames behind the current one.
        stacker_right_context: i32 = 2, 0;
        /// Frames from one output to the next.
        stacker_step: i32 = 3, 0;
    }

    /// Options of SignalWindow.
    SignalWindowOptions = 0 "" {
        /// Bits by which products are shifted down.
        shift: i32 = 0, 0;
    }
}
