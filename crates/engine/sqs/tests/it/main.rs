//! Stories across operations, told in a small language (see `world`).

mod world;

mod standard;

mod fifo;

mod dead_letters;

mod replay;
