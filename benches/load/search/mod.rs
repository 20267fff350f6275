//! `--search`: the highest rate at which an objective holds.

pub(crate) mod objective;
pub(crate) mod knee;
