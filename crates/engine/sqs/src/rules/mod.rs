//! The domain in its own words: what the operations are made of.

pub mod settings;

pub mod names;

pub mod attributes;

pub mod redrive;

pub mod policy;

pub mod allows;

pub mod payload;

pub mod new_message;

pub mod handle;

pub mod group;

pub mod shares;

pub mod attempts;

pub mod selection;

pub mod unpack;

pub mod shown;
