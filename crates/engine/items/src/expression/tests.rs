//! Expressions are read, refused and evaluated as AWS does.
