//! Tests that three accounts of the format are one: flatc's, the generated one, and the operator
//! table's.

use core::cell::RefCell;

use flatbuffers::{FlatBufferBuilder, WIPOffset};
use larun_ops::{
    Activation, AddOptions, ConcatenationOptions, Conv2DOptions, DepthwiseConv2DOptions,
    ElementType, FullyConnectedOptions, IntList, MulOptions, Op, OpKind, Options, OptionsSource,
    Padding, Pool2DOptions, ReducerOptions, ReshapeOptions, SoftmaxOptions, SqueezeOptions,
    WeightsFormat,
};

use crate::generated::layouts::SLOTS;
use crate::generated::schema::{self, ActivationFunctionType as Fused, TensorType};
use crate::raw::{Layout, Wire};
use crate::view::fields::NAMES;
use crate::view::{Model, OptionsUnion};

#[test]
fn slots_are_those_of_flatc() {
    assert_eq!(SLOTS.len(), 313);
    for (table, field, id, slot) in SLOTS {
        assert_eq!(4 + 2 * u16::from(*id), *slot, "{table}.{field}");
    }
}

#[test]
fn every_field_has_the_name_of_its_id() {
    let names = |table: &str| NAMES.iter().find(|(name, _)| *name == table);
    for (table, field, id, _) in SLOTS {
        if let Some((_, fields)) = names(table) {
            assert_eq!(fields[usize::from(*id)], *field, "{table}");
        }
    }
}

/// Answers that every field is absent, and remembers what was asked.
#[derive(Default)]
struct Asked(RefCell<Vec<(u16, &'static str)>>);

impl OptionsSource for Asked {
    type Error = ();

    fn byte(&self, id: u16) -> Result<Option<i8>, ()> {
        self.0.borrow_mut().push((id, "Scalar8"));
        Ok(None)
    }

    fn int(&self, id: u16) -> Result<Option<i32>, ()> {
        self.0.borrow_mut().push((id, "Scalar32"));
        Ok(None)
    }

    fn float(&self, id: u16) -> Result<Option<f32>, ()> {
        self.0.borrow_mut().push((id, "Scalar32"));
        Ok(None)
    }

    fn ints(&self, id: u16) -> Result<Option<IntList>, ()> {
        self.0.borrow_mut().push((id, "Vector32"));
        Ok(None)
    }

    fn unknown_value(&self, _: u16, _: i8) -> Result<(), ()> {
        Err(())
    }
}

#[test]
fn the_operator_table_has_the_format_s_names_numbers_and_fields() {
    for kind in OpKind::ALL {
        let info = kind.info();
        let Some(code) = info.code else { continue };
        assert_eq!(crate::builtin_name(code), Some(info.name));
        if info.options_table == 0 {
            continue;
        }
        let layout = Layout::of_options(OptionsUnion::First, info.options_table).unwrap();
        assert_eq!(layout.name, info.options_table_name, "{kind}");
        let asked = Asked::default();
        Op::read(*kind, &asked).unwrap();
        // Texts, which only VAR_HANDLE has, are read by the view itself.
        let fields = layout.fields.iter();
        let fields: Vec<_> = fields
            .filter(|(_, wire)| !matches!(wire, Wire::Text))
            .map(|(id, wire)| (u16::from(*id), name(*wire)))
            .collect();
        assert_eq!(asked.0.into_inner(), fields, "{kind}");
    }
}

fn name(wire: Wire) -> &'static str {
    match wire {
        Wire::Scalar8 => "Scalar8",
        Wire::Scalar32 => "Scalar32",
        Wire::Scalar64 => "Scalar64",
        Wire::Vector8 => "Vector8",
        Wire::Vector32 => "Vector32",
        Wire::Vector64 => "Vector64",
        Wire::Text => "Text",
    }
}

#[test]
fn element_types_have_the_format_s_names_and_numbers() {
    for element_type in ElementType::ALL {
        let named = TensorType(element_type.code()).variant_name();
        assert_eq!(named, Some(element_type.name()));
    }
    assert_eq!(ElementType::ALL.len(), TensorType::ENUM_VALUES.len());
}

/// What the view reads of options that flatc's code has written.
fn through_a_file<'a, O: Options, T: 'a>(
    options: impl FnOnce(&mut FlatBufferBuilder<'a>) -> WIPOffset<T>,
) -> O {
    let mut fbb = FlatBufferBuilder::new();
    let table = options(&mut fbb);
    let args = schema::OperatorArgs {
        builtin_options_type: schema::BuiltinOptions(O::TABLE),
        builtin_options: Some(table.as_union_value()),
        ..Default::default()
    };
    let operator = schema::Operator::create(&mut fbb, &args);
    let operators = Some(fbb.create_vector(&[operator]));
    let args = schema::SubGraphArgs {
        operators,
        ..Default::default()
    };
    let subgraph = schema::SubGraph::create(&mut fbb, &args);
    let subgraphs = Some(fbb.create_vector(&[subgraph]));
    let args = schema::ModelArgs {
        version: 3,
        subgraphs,
        ..Default::default()
    };
    let model = schema::Model::create(&mut fbb, &args);
    schema::finish_model_buffer(&mut fbb, model);
    let subgraph = Model::new(fbb.finished_data())
        .unwrap()
        .subgraph(0)
        .unwrap();
    subgraph.operator(0).unwrap().options_as().unwrap()
}

/// Options with every field set, and without any.
macro_rules! agree {
    ($table:ident, $args:ident { $($field:ident: $value:expr),+ }, $expected:expr) => {{
        let args = schema::$args { $($field: $value),+ };
        let read = through_a_file(|fbb| schema::$table::create(fbb, &args));
        assert_eq!($table { ..read }, $expected);
        let args = schema::$args::default();
        let read = through_a_file(|fbb| schema::$table::create(fbb, &args));
        assert_eq!($table { ..read }, $table::default());
    }};
}

#[test]
fn windowed_options_are_read_as_flatc_writes_them() {
    agree!(
        Conv2DOptions,
        Conv2DOptionsArgs {
            padding: schema::Padding::VALID,
            stride_w: 2,
            stride_h: 3,
            fused_activation_function: Fused::RELU6,
            dilation_w_factor: 4,
            dilation_h_factor: 5,
            quantized_bias_type: TensorType::INT64
        },
        Conv2DOptions {
            padding: Padding::Valid,
            stride_w: 2,
            stride_h: 3,
            activation: Activation::Relu6,
            dilation_w: 4,
            dilation_h: 5,
            quantized_bias_type: ElementType::Int64,
        }
    );
    agree!(
        DepthwiseConv2DOptions,
        DepthwiseConv2DOptionsArgs {
            padding: schema::Padding::VALID,
            stride_w: 2,
            stride_h: 3,
            depth_multiplier: 6,
            fused_activation_function: Fused::RELU,
            dilation_w_factor: 4,
            dilation_h_factor: 5
        },
        DepthwiseConv2DOptions {
            padding: Padding::Valid,
            stride_w: 2,
            stride_h: 3,
            depth_multiplier: 6,
            activation: Activation::Relu,
            dilation_w: 4,
            dilation_h: 5,
        }
    );
    agree!(
        Pool2DOptions,
        Pool2DOptionsArgs {
            padding: schema::Padding::VALID,
            stride_w: 2,
            stride_h: 3,
            filter_width: 4,
            filter_height: 5,
            fused_activation_function: Fused::RELU_N1_TO_1
        },
        Pool2DOptions {
            padding: Padding::Valid,
            stride_w: 2,
            stride_h: 3,
            filter_w: 4,
            filter_h: 5,
            activation: Activation::ReluN1To1,
        }
    );
}

#[test]
fn other_options_are_read_as_flatc_writes_them() {
    agree!(
        FullyConnectedOptions,
        FullyConnectedOptionsArgs {
            fused_activation_function: Fused::TANH,
            weights_format: schema::FullyConnectedOptionsWeightsFormat::SHUFFLED4x16INT8,
            keep_num_dims: true,
            asymmetric_quantize_inputs: true,
            quantized_bias_type: TensorType::INT32
        },
        FullyConnectedOptions {
            activation: Activation::Tanh,
            weights_format: WeightsFormat::Shuffled4x16Int8,
            keep_num_dims: true,
            asymmetric_quantize_inputs: true,
            quantized_bias_type: ElementType::Int32,
        }
    );
    agree!(
        ConcatenationOptions,
        ConcatenationOptionsArgs {
            axis: -2,
            fused_activation_function: Fused::SIGN_BIT
        },
        ConcatenationOptions {
            axis: -2,
            activation: Activation::SignBit
        }
    );
    agree!(
        AddOptions,
        AddOptionsArgs {
            fused_activation_function: Fused::RELU,
            pot_scale_int16: false
        },
        AddOptions {
            activation: Activation::Relu,
            pot_scale_int16: false
        }
    );
    agree!(
        MulOptions,
        MulOptionsArgs {
            fused_activation_function: Fused::RELU
        },
        MulOptions {
            activation: Activation::Relu
        }
    );
    agree!(
        SoftmaxOptions,
        SoftmaxOptionsArgs { beta: 0.5 },
        SoftmaxOptions { beta: 0.5 }
    );
    agree!(
        ReducerOptions,
        ReducerOptionsArgs { keep_dims: true },
        ReducerOptions { keep_dims: true }
    );
    let ints = IntList::new(&[-1, 7]).unwrap();
    let read: ReshapeOptions = through_a_file(|fbb| {
        let new_shape = Some(fbb.create_vector(&[-1, 7]));
        schema::ReshapeOptions::create(fbb, &schema::ReshapeOptionsArgs { new_shape })
    });
    assert_eq!(read.new_shape, ints);
    let read: SqueezeOptions = through_a_file(|fbb| {
        let squeeze_dims = Some(fbb.create_vector(&[-1, 7]));
        schema::SqueezeOptions::create(fbb, &schema::SqueezeOptionsArgs { squeeze_dims })
    });
    assert_eq!(read.squeeze_dims, ints);
}
