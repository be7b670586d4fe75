//! INT8 sums of tensors of one shape.
//!
//! The input of the larger scale comes to the common scale by a factor of a half, which is exact; only the other one is
//! multiplied.
#![cfg_attr(
    target_arch = "arm",
    allow(
        unsafe_code,
        reason = "a loop in assembly, over memory that is checked here"
    )
)]

use larun_quant::fixed_point::FixedMultiplier;

use super::channels::{Finish, Scale, is_int8};
use super::dsp::smmlar;
use crate::AddQuantization;

pub(crate) fn add_i8(
    quantization: &AddQuantization,
    a: &[i8],
    b: &[i8],
    output: &mut [i8],
) -> bool {
    let Some(sum) = Sum::new(quantization) else {
        return false;
    };
    let (halved, multiplied) = match sum.swapped {
        false => (a, b),
        true => (b, a),
    };
    let quads = output.len() / 4 * 4;
    let (Some((halved, halved_rest)), Some((multiplied, multiplied_rest))) = (
        halved.split_at_checked(quads),
        multiplied.split_at_checked(quads),
    ) else {
        return false;
    };
    let (output, output_rest) = output.split_at_mut(quads);
    if quads > 0 {
        sum.apply_quads(halved, multiplied, output);
    }
    let rest = halved_rest.iter().zip(multiplied_rest);
    for (output, (&halved, &multiplied)) in output_rest.iter_mut().zip(rest) {
        *output = sum.apply(halved, multiplied);
    }
    true
}

/// Whether sums of operands of one shape are computed.
pub(crate) fn is_supported(quantization: &AddQuantization) -> bool {
    Sum::new(quantization).is_some()
}

/// A sum's arithmetic, on the common scale doubled.
#[derive(Clone, Copy)]
#[repr(C)]
struct Sum {
    /// The zero point of the input that is halved, times -2^20.
    halved_offset: i32,
    /// The zero point of the other input, times -2^21.
    offset: i32,
    multiplier: i32,
    /// Half of `2^shift`.
    half: i32,
    shift: u32,
    scale: Scale,
    finish: Finish,
    /// Whether the second input is the one that is halved.
    swapped: bool,
}

impl Sum {
    /// `None` where scales or bounds are out of the ordinary.
    #[inline(never)]
    fn new(quantization: &AddQuantization) -> Option<Self> {
        let AddQuantization {
            zero_points,
            inputs,
            output,
            ref stage,
        } = *quantization;
        const HALF: FixedMultiplier = FixedMultiplier {
            multiplier: 1 << 30,
            shift: 0,
        };
        let swapped = inputs[0] != HALF;
        let (halved, other) = if swapped { (1, 0) } else { (0, 1) };
        let ordinary = |&zero_point: &i32| is_int8(zero_point);
        if inputs[halved] != HALF || !zero_points.iter().all(ordinary) {
            return None;
        }
        let (multiplier, shift) = match inputs[other] {
            // By so little less than one that the product of 29 bits rounds to itself, then halved.
            HALF => (i32::MAX, 1),
            FixedMultiplier { multiplier, shift } => (multiplier, shift.wrapping_neg() as u32),
        };
        if multiplier < 0 || !(1..32).contains(&shift) {
            return None;
        }
        let finish = match Finish::of(stage) {
            Finish::Clamped => return None,
            finish => finish,
        };
        // Each input comes to 255 * 2^19 at most.
        let scale = Scale::new(output, stage.zero_point, finish, (1 << 28) - 1)?;
        Some(Self {
            halved_offset: zero_points[halved].wrapping_neg() << 20,
            offset: zero_points[other].wrapping_neg() << 21,
            multiplier,
            half: 1 << (shift - 1),
            shift,
            scale,
            finish,
            swapped,
        })
    }

    /// The definition of the assembly, for one sum.
    fn apply(&self, halved: i8, multiplied: i8) -> i8 {
        let doubled = (i32::from(multiplied) << 21).wrapping_add(self.offset);
        let rounding = self.half.wrapping_add(doubled >> 31);
        let scaled = smmlar(doubled, self.multiplier, rounding) >> self.shift;
        let halved = (i32::from(halved) << 20).wrapping_add(self.halved_offset);
        let stage = crate::OutputStage {
            zero_point: 0,
            min: -128,
            max: 127,
        };
        let sum = halved.wrapping_add(scaled << 1);
        self.scale.apply_doubled(sum, self.finish, &stage)
    }

    /// Sums of as many elements as the output has, a multiple of four that is not 0.
    #[cfg(not(target_arch = "arm"))]
    fn apply_quads(&self, halved: &[i8], multiplied: &[i8], output: &mut [i8]) {
        for (output, (&halved, &multiplied)) in output.iter_mut().zip(halved.iter().zip(multiplied))
        {
            *output = self.apply(halved, multiplied);
        }
    }

    #[cfg(target_arch = "arm")]
    fn apply_quads(&self, halved: &[i8], multiplied: &[i8], output: &mut [i8]) {
        let len = output.len();
        if len == 0 || !len.is_multiple_of(4) || halved.len() < len || multiplied.len() < len {
            return;
        }
        let end = output.as_ptr().wrapping_add(len);
        // SAFETY: the slices have the length that the loop takes them to have, a multiple of four above 0.
        unsafe {
            if self.finish == Finish::Rectified {
                add_rectified(
                    self,
                    halved.as_ptr(),
                    multiplied.as_ptr(),
                    output.as_mut_ptr(),
                    end,
                );
            } else {
                add_signed(
                    self,
                    halved.as_ptr(),
                    multiplied.as_ptr(),
                    output.as_mut_ptr(),
                    end,
                );
            }
        }
    }
}

/// r1 the halved input, r2 the other, r3 output, r4-r7 and r8 the words of [`Sum`] from the start, r9-r11 its scale, r0,
/// r12 and lr the sums.
#[cfg(target_arch = "arm")]
macro_rules! body {
    ($rounding:literal, $sign:literal) => {
        concat!(
            "push {{r4-r11, lr}}\n",
            "ldm r0, {{r4-r11}}\n",
            "1:\n",
            ".rept 4\n",
            "ldrsb lr, [r2], #1\n",
            "ldrsb r12, [r1], #1\n",
            "add lr, r5, lr, lsl #21\n",
            "add r0, r7, lr, asr #31\n",
            "smmlar lr, lr, r6, r0\n",
            "asr lr, lr, r8\n",
            "add r12, r4, r12, lsl #20\n",
            "add r12, r12, lr, lsl #1\n",
            $sign,
            "smmlar r12, r12, r9, ",
            $rounding,
            "\n",
            "asr r12, r12, r11\n",
            "ssat r12, #8, r12\n",
            "strb r12, [r3], #1\n",
            ".endr\n",
            "ldr r0, [sp, #36]\n",
            "cmp r3, r0\n",
            "bne 1b\n",
            "pop {{r4-r11, pc}}\n",
        )
    };
}

#[cfg(target_arch = "arm")]
#[unsafe(naked)]
unsafe extern "C" fn add_rectified(
    sum: &Sum,
    halved: *const i8,
    multiplied: *const i8,
    output: *mut i8,
    end: *const i8,
) {
    core::arch::naked_asm!(dsp!(), body!("r10", ""))
}

#[cfg(target_arch = "arm")]
#[unsafe(naked)]
unsafe extern "C" fn add_signed(
    sum: &Sum,
    halved: *const i8,
    multiplied: *const i8,
    output: *mut i8,
    end: *const i8,
) {
    core::arch::naked_asm!(dsp!(), body!("r0", "add r0, r10, r12, asr #31\n"))
}
