//! Tests of whole stores.

mod contract;
mod damage;
mod fixtures;
mod with_log;
mod worlds;
