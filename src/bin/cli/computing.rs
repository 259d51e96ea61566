//! Where a network computes, and on how many threads.

use incdec::data::LoaderConfig;
use incdec::model::device::DeviceChoice;

/// Flags of binaries that apply networks to clips.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Computing {
    /// Where to compute: auto, cpu or cuda:N
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceChoice,
    /// Threads that decode clips. Any number gives the same result
    #[arg(long, default_value_t = LoaderConfig::default().workers, value_name = "N")]
    pub(crate) workers: usize,
    /// Threads of a tensor operation [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}
