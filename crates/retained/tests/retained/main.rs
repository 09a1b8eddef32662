//! Tests of whole stores.

mod contract;
mod damage;
mod fixtures;
mod worlds;
