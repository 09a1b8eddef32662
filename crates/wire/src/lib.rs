//! Bytes to shapes and back: AWS's protocols, error bodies, routing.
