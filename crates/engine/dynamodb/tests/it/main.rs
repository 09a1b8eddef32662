//! Tests of tables as a state: what the log says is true again after a restart, whatever was cleaned meanwhile.

mod survival;
