//! The shape of every request and answer: plain structs, generated from AWS's models.
