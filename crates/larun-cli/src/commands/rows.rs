//! Options of generated Rust, for the commands that write it or show its plan.

use larun::export::{Processor, Rows, RustOptions, Stream};

// What generated Rust is made for, and which layers run row by row. No comment of documentation: clap would take it for the command's.
#[derive(clap::Args)]
pub(crate) struct RowsArgs {
    /// The target that Rust source is for, a triple such as thumbv7em-none-eabihf; what it is made for runs there only.
    /// Without, the source runs wherever there are no kernels for the processor, on hosts as well
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,

    /// Run layers of generated Rust row by row, so that what lies between them never exists whole; with a number of bytes,
    /// only where the activations do not fit into so many otherwise
    #[arg(long, value_name = "BYTES", num_args = 0..=1, require_equals = true)]
    stream: Option<Option<usize>>,
}

impl RowsArgs {
    /// The options of the source, with results in the memory of what they are computed from or not.
    pub(crate) fn options(&self, in_place: bool) -> RustOptions {
        let mut options = RustOptions::default();
        if let Some(target) = &self.target {
            options.processor = Processor::of_target(target, "");
        }
        options.rows = Rows {
            in_place,
            stream: match self.stream {
                None => Stream::Never,
                Some(None) => Stream::Always,
                Some(Some(bytes)) => Stream::ToFit(bytes),
            },
        };
        options
    }

    /// Whether layers are to run row by row.
    pub(crate) const fn streams(&self) -> bool {
        self.stream.is_some()
    }

    /// Whether any of the options is given.
    pub(crate) const fn is_given(&self) -> bool {
        self.stream.is_some() || self.target.is_some()
    }
}
