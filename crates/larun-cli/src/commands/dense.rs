//! `--per-tensor-dense`, the same in every command that quantises.

use larun::passes::DenseWeights;

/// How the weights of dense layers are scaled.
#[derive(clap::Args)]
pub(crate) struct DenseArgs {
    /// One weight scale for each dense layer, not one for each output
    ///
    /// One for each output is nearer to the float model, is what TensorFlow's converter writes, and runs in LiteRT, in
    /// TensorFlow Lite Micro and in LARUN. Runtimes from before 2024, Arduino's library among them, read the first scale
    /// alone and compute nonsense without saying so: files for them need this.
    #[arg(long)]
    per_tensor_dense: bool,
}

impl DenseArgs {
    pub(crate) const fn weights(&self) -> DenseWeights {
        match self.per_tensor_dense {
            true => DenseWeights::PerTensor,
            false => DenseWeights::PerChannel,
        }
    }
}
