//! Loads any SQS endpoint and measures it.
